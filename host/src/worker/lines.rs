//! What a program writes, cut into lines that fit the log, and into what it tells. Pure: bytes in,
//! text out.

use super::output_event::{self, EVENT_BYTES_MAX, Told};
use crate::model::text::storable;

/// The longest line, in bytes of the program's output. A longer one becomes several.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// One thing that a program wrote.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A line for the log, or a part of one.
    Line(String),
    /// A line that told something.
    Told(Told),
}

/// Cuts one stream. Where the reads happened to end makes no difference to the pieces.
#[derive(Debug)]
pub(super) struct Splitter {
    unfinished: Vec<u8>,
    /// Whether its lines may tell something.
    listens: bool,
    /// Whether a part of the unfinished line was cut off already.
    relieved: bool,
}

impl Splitter {
    /// The beginning of a stream; one whose lines may tell something, when it `listens`.
    pub(super) fn new(listens: bool) -> Self {
        Self { unfinished: Vec::new(), listens, relieved: false }
    }

    /// The lines that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if self.unfinished.ends_with(b"\n") {
                self.unfinished.pop();
                self.complete(&mut pieces);
            } else if !self.may_tell() {
                self.relieve(&mut pieces);
            }
        }
        pieces
    }

    /// What the stream ended with, when that was not a line's end.
    pub(super) fn finish(mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if !self.unfinished.is_empty() {
            self.complete(&mut pieces);
        }
        pieces
    }

    fn complete(&mut self, pieces: &mut Vec<Piece>) {
        let whole = self.listens && !self.relieved;
        match whole.then(|| output_event::read(&self.unfinished)).flatten() {
            Some(told) => pieces.push(Piece::Told(told)),
            None => cut(&self.unfinished, pieces),
        }
        self.unfinished.clear();
        self.relieved = false;
    }

    fn may_tell(&self) -> bool {
        self.listens
            && !self.relieved
            && self.unfinished.len() <= EVENT_BYTES_MAX + 1
            && output_event::may_tell(&self.unfinished)
    }

    /// Cuts from a line that is too long already. One byte more than fits may still be the `\r` of
    /// its end, which is no part of it.
    fn relieve(&mut self, pieces: &mut Vec<Piece>) {
        let mut start = 0;
        while self.unfinished.len() - start > LINE_BYTES_MAX + 1 {
            let end = start + boundary(&self.unfinished[start..]);
            pieces.push(Piece::Line(text(&self.unfinished[start..end])));
            start = end;
        }
        self.relieved |= start > 0;
        self.unfinished.drain(..start);
    }
}

fn cut(line: &[u8], lines: &mut Vec<Piece>) {
    let mut line = line.strip_suffix(b"\r").unwrap_or(line);
    while line.len() > LINE_BYTES_MAX {
        let (fitting, rest) = line.split_at(boundary(line));
        lines.push(Piece::Line(text(fitting)));
        line = rest;
    }
    lines.push(Piece::Line(text(line)));
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
    use crate::model::run::{LogLine, Stream};
    use crate::model::time::Time;
    use crate::worker::backlog::Weighed;

    fn pieces(listens: bool, chunks: &[&[u8]]) -> Vec<Piece> {
        let mut splitter = Splitter::new(listens);
        let mut pieces: Vec<_> = chunks.iter().flat_map(|chunk| splitter.push(chunk)).collect();
        pieces.extend(splitter.finish());
        pieces
    }

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let line = |piece| match piece {
            Piece::Line(text) => text,
            Piece::Told(told) => panic!("{told:?}"),
        };
        pieces(false, chunks).into_iter().map(line).collect()
    }

    #[test]
    fn only_a_stream_that_is_listened_to_tells_anything() {
        let long = format!("{{\"type\":\"b\",\"text\":\"{}\"}}", "x".repeat(40_000));
        let output = format!("log\n{{\"type\":\"a\"}}\r\n{long}\n{{\"retry_after\":1}}\n{{}}");
        let shown = |piece: &Piece| match piece {
            Piece::Line(text) => text.clone(),
            Piece::Told(told) => format!("told {}", told.kind),
        };
        let told: Vec<_> = pieces(true, &[output.as_bytes()]).iter().map(shown).collect();
        assert_eq!(told, ["log", "told a", "told b", "{\"retry_after\":1}", "{}"]);
        assert_eq!(split(&[output.as_bytes()]).len(), 7);
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
        let run = (prop::sample::select(b"a\r\n\0\x80\xe2\xf0{ ".to_vec()), 1..20_000_usize);
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
            prop_assert_eq!(pieces(true, &chunks), pieces(true, &[&output]));
            // Each invalid byte may become a replacement character of three.
            prop_assert!(lines.iter().all(|line| line.len() <= 3 * LINE_BYTES_MAX));
        }
    }
}
