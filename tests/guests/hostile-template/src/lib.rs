//! A template whose text is a mode, `mode:loop`; reports come as the prompt. `mode:ok` renders
//! `ok`.
//!
//! `mode:reads PATH …` asks for these fields, of which `*` is the whole event, and `mode:says
//! CONTENT …` declares these contents and reads all there is.

use hillock_plugin_sdk::export_template;
use hillock_plugin_sdk::template::{Content, Diagnostic, Event, RenderError, Template, declare};
use misdeeds::Mode;

struct Hostile;

export_template!(Hostile);

impl Template for Hostile {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn render(event: &Event, template: String) -> Result<String, RenderError> {
        let mode = Mode::named(template.trim().trim_start_matches("mode:"));
        let report = mode.commit(|| drop(event.text("kind")));
        match (report, mode) {
            (Some(report), _) => Ok(report),
            (None, Mode::Other(name)) => own(event, &name),
            (None, _) => Ok("ok".to_owned()),
        }
    }
}

/// The modes that only templates have.
fn own(event: &Event, mode: &str) -> Result<String, RenderError> {
    let mut words = mode.split(' ');
    match words.next() {
        Some("reads") => Ok(words.map(|path| read(event, path)).collect::<Vec<_>>().join(" ")),
        Some("says") => {
            words.map(content).try_for_each(|content| content.map(declare))?;
            Ok(event.json())
        }
        _ => Err(RenderError::Failed(format!("no mode `{mode}`"))),
    }
}

fn read(event: &Event, path: &str) -> String {
    match path {
        "*" => event.json(),
        _ => event.text(path).or_else(|| event.get(path)).unwrap_or_default(),
    }
}

fn content(word: &str) -> Result<Content, RenderError> {
    match word {
        "trusted" => Ok(Content::Trusted),
        "fenced" => Ok(Content::Fenced),
        "unfenced" => Ok(Content::Unfenced),
        _ => Err(RenderError::Failed(format!("no content `{word}`"))),
    }
}
