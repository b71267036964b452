//! Text from outside, made fit to keep and to show.

/// The text with NUL characters replaced: JSON may carry them, PostgreSQL's `TEXT` and a program's
/// arguments may not.
pub fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// At most `bytes_max` bytes of the text, cut at a character's end and marked with `…` where cut.
pub fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(shortened("añb", 3), "añ…");
        assert_eq!(shortened("añb", 2), "a…");
        assert_eq!(shortened("añb", 4), "añb");
    }

    #[test]
    fn nul_becomes_the_replacement_character() {
        assert_eq!(storable("a\0b".into()), "a\u{fffd}b");
    }
}
