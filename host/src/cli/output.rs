//! How results look: tables, fields and a few colours.
//!
//! Colours reach a terminal only, and none that says `NO_COLOR`. What comes from outside is
//! [`Plain`](super::plain::Plain) or a domain type before it gets here.

use std::fmt::Display;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

const BOLD: Style = Style::new().bold();

/// What stands where there is nothing.
pub const NONE: &str = "-";

/// Writes to standard output, without its colours unless it is a terminal.
///
/// # Errors
/// When standard output does not take it.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Says something about a result, on standard error.
pub fn remark(text: impl Display) {
    anstream::eprintln!("{text}");
}

/// Aligned columns below their headings, a line per row.
pub fn table(
    headings: impl IntoIterator<Item = &'static str>,
    rows: impl IntoIterator<Item = impl IntoIterator<Item = String>>,
) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
    let headings: Vec<&str> = headings.into_iter().collect();
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let rendered = table.to_string();
    let mut lines = rendered.lines().map(str::trim_end);
    let headings = lines.next().unwrap_or_default();
    let rows: String = lines.map(|line| format!("{line}\n")).collect();
    format!("{BOLD}{headings}{BOLD:#}\n{rows}")
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
        assert_eq!(uncoloured(&table(["NAME", "COUNT"], rows)), wanted);
    }

    #[test]
    fn values_stand_below_each_other() {
        let text = fields([("id", "7".to_owned()), ("error", "one\ntwo\n".to_owned())]);
        assert_eq!(uncoloured(&text), "id     7\nerror  one\n       two\n");
    }
}
