//! What a follower sees: lines to the streams they were written to, and on a terminal a spinner that
//! says where the run stands.
//!
//! Colours and the spinner are for people: a pipe and a terminal that says `NO_COLOR` get neither.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anstyle::{AnsiColor, Effects, Style};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::super::logs::Form;
use super::super::output;
use super::super::plain::{self, Plain};
use super::{EventLine, Line, Stand};
use crate::model::run::{Interaction, RunStatus, Stream};
use crate::model::visible;

/// What a program wrote to its standard error.
const ERROR: Style = AnsiColor::Red.on_default();
/// What the host or the program says beside the log.
const ASIDE: Style = Style::new().effects(Effects::DIMMED);
/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// Where everything goes.
#[derive(Debug)]
pub(super) struct Screen {
    form: Form,
    spinner: ProgressBar,
}

impl Screen {
    pub(super) fn new(form: Form) -> Self {
        let spinner = if form == Form::Text && is_lively() {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(TICK);
            spinner
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        Self { form, spinner }
    }

    /// Writes what a frame says, as it came, where JSON is wanted.
    pub(super) fn raw(&self, kind: &str, data: &str) -> io::Result<()> {
        if self.form != Form::JsonLines {
            return Ok(());
        }
        let fields = data.strip_prefix('{').unwrap_or(data);
        let comma = if fields.starts_with('}') { "" } else { "," };
        output::print_json(format!("{{\"type\":\"{kind}\"{comma}{fields}\n").as_bytes())
    }

    pub(super) fn line(&self, line: &Line) -> io::Result<()> {
        if self.form != Form::Text {
            return Ok(());
        }
        self.spinner.suspend(|| {
            match line.stream {
                Stream::Stdout => plain::write(&line.text)?,
                Stream::Stderr => aside(ERROR, &line.text),
                Stream::Host => aside(ASIDE, &line.text),
            }
            Ok(())
        })
    }

    pub(super) fn event(&self, event: &EventLine) {
        if self.form == Form::Text {
            self.spinner.suspend(|| aside(ASIDE, &format!("[{}] {}", event.kind, event.told())));
        }
    }

    pub(super) fn stand(&self, stand: &Stand) {
        self.spinner.set_message(visible::shown(&message(stand)).into_owned());
    }

    /// Says why the run waits.
    pub(super) fn waits(&self, run: &str, why: &str) {
        self.spinner.suspend(|| output::remark(format_args!("{run} waits: {why}")));
    }

    /// Says that the host is gone for the moment.
    pub(super) fn lost(&self) {
        self.spinner.set_message("the host does not answer; waiting for it");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}

fn is_lively() -> bool {
    let said = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !said("NO_COLOR")
}

/// A line to standard error: in this style and [`Plain`] on a terminal, else as it is.
fn aside(style: Style, text: &str) {
    match io::stderr().is_terminal() {
        true => output::remark(format_args!("{style}{}{style:#}", Plain::from(text))),
        false => plain::write_aside(text),
    }
}

fn message(stand: &Stand) -> String {
    let run = &stand.run;
    match (run.status, run.interaction) {
        (RunStatus::Running, Interaction::WaitingForInput) => {
            let asked = stand.pending_inputs.last().and_then(|asked| asked.prompt.as_ref());
            let asked = asked.map_or_else(String::new, |prompt| format!(": {}", prompt.line()));
            format!("{} waits for input{asked}", run.id)
        }
        (RunStatus::Running, _) => format!("{} is running, attempt {}", run.id, run.attempt),
        (RunStatus::Scheduled, _) => match run.due_at {
            Some(due) => format!("{} is tried again at {due}", run.id),
            None => format!("{} waits for a worker", run.id),
        },
        (RunStatus::Blocked, _) => format!("{} waits until somebody approves it", run.id),
        (status, _) => format!("{} is {status}", run.id),
    }
}
