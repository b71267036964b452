//! Text within a reason.

const CHARS_MAX: usize = 200;

/// On one line, and cut when it is long.
pub(crate) fn excerpt(text: &str) -> String {
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
