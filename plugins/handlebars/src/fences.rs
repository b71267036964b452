//! Which code fence of Markdown a text leaves open, by the rules of CommonMark 0.31, section 4.5.
//!
//! A fence that `{{fence}}` writes is one only where no other is open: within another, its first
//! line is text, or the other's end.

/// The open fence of a text that grows.
#[derive(Default)]
pub(crate) struct Fences {
    read_bytes: usize,
    open: Option<Mark>,
}

/// The characters that a fence begins with.
#[derive(Clone, Copy)]
struct Mark {
    char: char,
    length: usize,
}

impl Fences {
    /// Whether a fence is open at the end of the text, which is the text of the last time with more
    /// lines to it.
    pub(crate) fn is_open(&mut self, text: &str) -> bool {
        for line in text[self.read_bytes..].split(['\n', '\r']) {
            self.line(line);
        }
        self.read_bytes = text.len();
        self.open.is_some()
    }

    fn line(&mut self, line: &str) {
        let Some((mark, rest)) = Mark::at_start(line) else { return };
        match self.open {
            Some(open) if mark.ends(open) && rest.trim_matches([' ', '\t']).is_empty() => {
                self.open = None;
            }
            None if mark.char == '~' || !rest.contains('`') => self.open = Some(mark),
            _ => {}
        }
    }
}

impl Mark {
    /// The mark that a line begins with, and what stands behind it.
    fn at_start(line: &str) -> Option<(Self, &str)> {
        let unindented = line.trim_start_matches(' ');
        let char = unindented.chars().next().filter(|char| matches!(char, '`' | '~'))?;
        let rest = unindented.trim_start_matches(char);
        let length = unindented.len() - rest.len();
        let is_mark = length >= 3 && line.len() - unindented.len() <= 3;
        is_mark.then_some((Self { char, length }, rest))
    }

    fn ends(self, open: Self) -> bool {
        self.char == open.char && self.length >= open.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_open_until_its_end() {
        for (text, open) in [
            ("", false),
            ("text\n", false),
            ("```\n", true),
            ("```rust\ncode\n", true),
            ("```\ncode\n```\n", false),
            ("```\r\ncode\r\n```\r\n", false),
            ("   ```\n", true),
            ("    ```\n", false),
            ("\t```\n", false),
            ("``\n", false),
            ("a ```\n", false),
            ("``` `code` ```\n", false),
            ("~~~ `a`\n", true),
            ("~~~\n```\n", true),
            ("~~~\n```\n~~~\n", false),
            ("````\n```\n", true),
            ("```\n````  \n", false),
            ("```\n``` x\n", true),
            ("```\n    ```\n", true),
            ("```\n```\n```\n", true),
        ] {
            assert_eq!(Fences::default().is_open(text), open, "{text:?}");
            let mut growing = Fences::default();
            let mut last = false;
            for (end, _) in text.match_indices('\n') {
                last = growing.is_open(&text[..=end]);
            }
            assert_eq!(last, open, "{text:?} line by line");
        }
    }
}
