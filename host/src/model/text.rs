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

/// The text; when it has more than `bytes_max` bytes, as many of them, and a marker that says how many
/// are missing.
pub fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = text.floor_char_boundary(bytes_max);
        let missing = text.len() - end;
        text.truncate(end);
        text.push_str(&cut_marker(missing));
    }
    text
}

/// What stands where so many bytes are missing.
pub fn cut_marker(bytes: usize) -> String {
    format!("… [cut: {bytes} bytes]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("añb".into(), 4), "añb");
        assert_eq!(cut("añb".into(), 3), "añ… [cut: 1 bytes]");
        assert_eq!(cut("añb".into(), 2), "a… [cut: 3 bytes]");
    }

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
