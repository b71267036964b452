//! How results look: tables, fields and a few colours.
//!
//! Colours reach a terminal only, and none that says `NO_COLOR`. What comes from outside is
//! [`Plain`](super::plain::Plain) or a domain type before it gets here.

//! Whatever it is, what nobody would see reaches a terminal as an escape; a pipe gets it as it is.
//!
//! Nobody listening is no failure: what standard error does not take is lost, and a standard output
//! whose reader is gone changes nothing about how a command ends.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use console::Term;
use serde::Serialize;

use super::fit;
use crate::clock::Clock;
use crate::model::visible;

const BOLD: Style = Style::new().bold();

/// What stands where there is nothing.
pub const NONE: &str = "-";

/// Writes to standard output, without its colours unless it is a terminal.
///
/// # Errors
/// When standard output does not take it.
pub fn print(text: &str) -> io::Result<()> {
    let text = match io::stdout().is_terminal() {
        true => visible::shown_with_colours(text),
        false => Cow::Borrowed(text),
    };
    let mut out = anstream::stdout().lock();
    unless_nobody_reads(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes a value to standard output as indented JSON.
///
/// # Errors
/// When standard output does not take it.
pub fn print_value(value: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(unless_nobody_reads(print_json(&json))?)
}

/// Writes JSON to standard output, a terminal's with its own escapes for what nobody would see.
///
/// # Errors
/// When standard output does not take it, or nobody reads on.
pub fn print_json(json: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.is_terminal() {
        true => out.write_all(visible::shown_json(&String::from_utf8_lossy(json)).as_bytes())?,
        false => out.write_all(json)?,
    }
    out.flush()
}

/// What was to be said is said, though nobody reads it.
pub(super) fn unless_nobody_reads(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Says something about a result, on standard error, as far as that takes it.
pub fn remark(text: impl Display) {
    let text = format!("{text}\n");
    let text = match io::stderr().is_terminal() {
        true => visible::shown_with_colours(&text),
        false => Cow::Borrowed(text.as_str()),
    };
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Says what is wrong with a command line, or prints the help that was asked for.
pub fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().ansi().to_string();
    match error.use_stderr() {
        true => remark(text.trim_end()),
        false => {
            if print(&text).is_err() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(u8::MAX))
}

/// Aligned columns below their headings, a line per row. Written to a terminal they fit it.
#[derive(Debug)]
pub struct Table {
    /// The headings first.
    rows: Vec<Vec<String>>,
    may_be_cut: bool,
}

/// A table of these rows.
pub fn table(
    headings: impl IntoIterator<Item = &'static str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> Table {
    let headings = headings.into_iter().map(str::to_owned).collect();
    let rows = rows.into_iter().map(|row| row.into_iter().collect());
    Table { rows: std::iter::once(headings).chain(rows).collect(), may_be_cut: true }
}

impl Table {
    /// The same, with all of what it says even where that is too long.
    pub fn whole(self) -> Self {
        Self { may_be_cut: false, ..self }
    }

    /// The same with another column before the others, the heading first, if it has a cell for
    /// each row.
    pub(super) fn led_by(mut self, cells: Vec<String>) -> Self {
        if self.rows.len() == cells.len() {
            for (row, cell) in self.rows.iter_mut().zip(cells) {
                row.insert(0, cell);
            }
        }
        self
    }

    /// The rows as people are shown them.
    fn for_terminal(&self, width: usize) -> Vec<Vec<String>> {
        let seen = |cell: &String| visible::shown_with_colours(cell).into_owned();
        let rows = self.rows.iter().map(|row| row.iter().map(seen).collect()).collect();
        let rows = fit::aged(rows, Clock.now());
        if self.may_be_cut { fit::fitted(rows, width) } else { rows }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitted = terminal_width().map(|width| self.for_terminal(width));
        let lines = fit::lines(fitted.as_ref().unwrap_or(&self.rows));
        let mut lines = lines.iter();
        writeln!(f, "{BOLD}{}{BOLD:#}", lines.next().map_or("", String::as_str))?;
        lines.try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// How many columns standard output has, if it is a terminal.
fn terminal_width() -> Option<usize> {
    let terminal = Term::stdout();
    terminal.is_term().then(|| terminal.size().1.into())
}

/// One line per name and value; a value's further lines are indented to it.
pub fn fields<'f>(fields: impl AsRef<[(&'f str, String)]>) -> String {
    let fields = fields.as_ref();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let indent = format!("\n{:1$}", "", width + 2);
    fields
        .iter()
        .map(|(name, value)| {
            let value = value.trim_end().replace('\n', &indent);
            format!("{BOLD}{name:width$}{BOLD:#}  {value}\n")
        })
        .collect()
}

/// A titled text below the fields.
pub fn section(title: &str, text: impl Display) -> String {
    let text = text.to_string();
    format!("\n{BOLD}{title}{BOLD:#}\n{}\n", text.trim_end())
}

/// The word for how something ended, in the colour of its kind.
pub fn word(word: &str) -> String {
    let colour = match word {
        "completed" | "done" | "fired" | "would_fire" => AnsiColor::Green,
        "failed" | "error" | "dropped" | "canceled" | "render_error" | "component_error" => {
            AnsiColor::Red
        }
        _ => AnsiColor::Yellow,
    };
    let style = colour.on_default();
    format!("{style}{word}{style:#}")
}

/// A value, or [`NONE`].
pub fn or_none(value: Option<impl Display>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "1".to_owned()], ["größer".to_owned(), String::new()]];
        let wanted = "NAME    COUNT\na       1\ngrößer\n";
        assert_eq!(uncoloured(&table(["NAME", "COUNT"], rows).to_string()), wanted);
    }

    #[test]
    fn values_stand_below_each_other() {
        let text = fields([("id", "7".to_owned()), ("error", "one\ntwo\n".to_owned())]);
        assert_eq!(uncoloured(&text), "id     7\nerror  one\n       two\n");
    }
}
