//! A template whose text is a mode, `mode:loop`; reports come as the prompt. `mode:ok` renders
//! `ok`.

use hillock_plugin_sdk::export_template;
use hillock_plugin_sdk::template::{Diagnostic, Event, RenderError, Template};
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
            (None, Mode::Other(name)) => Err(RenderError::Failed(format!("no mode `{name}`"))),
            (None, _) => Ok("ok".to_owned()),
        }
    }
}
