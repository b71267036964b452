//! What a program writes, cut into lines that fit the log. Pure: bytes in, text out.

use std::io;

use crate::model::run::LogLine;
use crate::model::text::storable;

/// The longest line, in bytes of the program's output. A longer one becomes several.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// A log line and what it takes up in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weighed {
    /// The line.
    pub(super) line: LogLine,
    /// Its size as JSON, in bytes.
    pub(super) weight: usize,
}

impl From<LogLine> for Weighed {
    fn from(line: LogLine) -> Self {
        let mut tally = Tally(0);
        // A tally takes every byte, and a line has no key that JSON could refuse.
        let _ = serde_json::to_writer(&mut tally, &line);
        Self { line, weight: tally.0 }
    }
}

/// Counts what is written to it.
struct Tally(usize);

impl io::Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts one stream. Where the reads happened to end makes no difference to the lines.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    unfinished: Vec<u8>,
}

impl Splitter {
    /// The lines that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            match self.unfinished.strip_suffix(b"\n") {
                Some(line) => {
                    cut(line, &mut lines);
                    self.unfinished.clear();
                }
                None => self.relieve(&mut lines),
            }
        }
        lines
    }

    /// What the stream ended with, when that was not a line's end.
    pub(super) fn finish(self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.unfinished.is_empty() {
            cut(&self.unfinished, &mut lines);
        }
        lines
    }

    /// Cuts from a line that is too long already. One byte more than fits may still be the `\r` of
    /// its end, which is no part of it.
    fn relieve(&mut self, lines: &mut Vec<String>) {
        let mut start = 0;
        while self.unfinished.len() - start > LINE_BYTES_MAX + 1 {
            let end = start + boundary(&self.unfinished[start..]);
            lines.push(text(&self.unfinished[start..end]));
            start = end;
        }
        self.unfinished.drain(..start);
    }
}

fn cut(line: &[u8], lines: &mut Vec<String>) {
    let mut line = line.strip_suffix(b"\r").unwrap_or(line);
    while line.len() > LINE_BYTES_MAX {
        let (fitting, rest) = line.split_at(boundary(line));
        lines.push(text(fitting));
        line = rest;
    }
    lines.push(text(line));
}

/// Where to cut a line longer than [`LINE_BYTES_MAX`]: before the character that would not fit, or
/// right there when this is not UTF-8.
fn boundary(line: &[u8]) -> usize {
    let continues = |&at: &usize| line[at] & 0b1100_0000 == 0b1000_0000;
    (LINE_BYTES_MAX - 3..=LINE_BYTES_MAX).rev().find(|at| !continues(at)).unwrap_or(LINE_BYTES_MAX)
}

fn text(bytes: &[u8]) -> String {
    storable(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dispatch::protocol::MESSAGE_BYTES_MAX;
    use crate::model::run::Stream;
    use crate::model::time::Time;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut lines: Vec<_> = chunks.iter().flat_map(|chunk| splitter.push(chunk)).collect();
        lines.extend(splitter.finish());
        lines
    }

    #[test]
    fn lines_end_where_the_program_ended_them() {
        for (output, lines) in [
            (&b""[..], &[][..]),
            (b"one\ntwo\n", &["one", "two"]),
            (b"one\r\ntwo", &["one", "two"]),
            (b"\n\n", &["", ""]),
            (b"a\rb\r\r\n", &["a\rb\r"]),
            (b"\xff\xfeok\n", &["\u{fffd}\u{fffd}ok"]),
            (b"nul\0\n", &["nul\u{fffd}"]),
        ] {
            assert_eq!(split(&[output]), lines, "{}", output.escape_ascii());
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = "x".repeat(LINE_BYTES_MAX - 2) + "€uro\r\n";
        let lines = split(&[line.as_bytes()]);
        assert_eq!(lines, [&line[..LINE_BYTES_MAX - 2], "€uro"]);
    }

    #[test]
    fn a_full_line_keeps_no_part_of_its_end() {
        let line = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(split(&[line.as_bytes(), b"\r", b"\n"]), [&*line]);
    }

    #[test]
    fn a_line_is_weighed_as_it_is_sent() {
        let text = "\u{1}\"é\\".repeat(4096);
        let line = LogLine { at: Time::from_millis(0).unwrap(), stream: Stream::Stdout, text };
        let sent = serde_json::to_string(&line).unwrap();
        assert_eq!(Weighed::from(line).weight, sent.len());
    }

    #[test]
    fn the_heaviest_line_fits_a_message() {
        let text = text(&[1; LINE_BYTES_MAX]);
        let line = LogLine { at: Time::from_millis(0).unwrap(), stream: Stream::Stdout, text };
        assert!(Weighed::from(line).weight < MESSAGE_BYTES_MAX / 4);
    }

    fn output() -> impl Strategy<Value = Vec<u8>> {
        let run = (prop::sample::select(b"a\r\n\0\x80\xe2\xf0".to_vec()), 1..20_000_usize);
        let short = (any::<u8>(), 1..4_usize);
        let runs = prop::collection::vec(prop_oneof![run, short], 0..8);
        runs.prop_map(|runs| runs.into_iter().flat_map(|(b, n)| vec![b; n]).collect())
    }

    proptest! {
        #[test]
        fn reads_may_end_anywhere(output in output(), cuts in prop::collection::vec(1..9_000_usize, 1..9)) {
            let mut rest = &output[..];
            let mut chunks = Vec::new();
            for cut in cuts.iter().cycle() {
                let (chunk, later) = rest.split_at((*cut).min(rest.len()));
                chunks.push(chunk);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let lines = split(&chunks);
            prop_assert_eq!(&lines, &split(&[&output]));
            // Each invalid byte may become a replacement character of three.
            prop_assert!(lines.iter().all(|line| line.len() <= 3 * LINE_BYTES_MAX));
        }
    }
}
