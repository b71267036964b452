//! A stream of bytes, redacted as it comes, before anything is cut.

use super::{KEY, KEY_CHARACTERS_MIN, Redaction, SECRET_BYTES_MIN, Wanted, fold, key};

/// One stream. What may be the beginning of a secret is held back until it is known; behind the end
/// of a line only when that much of it is there that it can hardly be anything else, for nobody
/// knows when the next line comes.
#[derive(Debug)]
pub struct Strand<'r> {
    redaction: &'r Redaction,
    text: Vec<u8>,
    /// How much of the text has left. It is kept for what goes on from it.
    left: usize,
    /// With which mark what has left ends.
    marked: Option<usize>,
}

impl<'r> Strand<'r> {
    /// The beginning of a stream.
    pub fn new(redaction: &'r Redaction) -> Self {
        Self { redaction, text: Vec::new(), left: 0, marked: None }
    }

    /// What may leave, now that `bytes` have come.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(wanted) = &self.redaction.0 else { return bytes.to_vec() };
        self.text.extend_from_slice(bytes);
        let until = wanted.held_from(&self.text);
        self.release(wanted, until)
    }

    /// What was held back when the stream ended.
    pub fn finish(mut self) -> Vec<u8> {
        let Some(wanted) = &self.redaction.0 else { return Vec::new() };
        let end = self.text.len();
        self.release(wanted, end)
    }

    fn release(&mut self, wanted: &Wanted, until: usize) -> Vec<u8> {
        let found = wanted.found(&self.text);
        let mut until = until.max(self.left);
        // What reaches into what is held back waits with it: a longer one may begin in the same place.
        for range in found.iter().rev().map(|found| &found.range) {
            if range.start < until && range.end > until {
                until = range.start.max(self.left);
            }
        }
        let mut free = Vec::with_capacity(until - self.left);
        let span = self.left..until;
        self.marked = wanted.blot(&self.text, &found, span, &mut free, self.marked);
        self.left = until;
        let kept = wanted.kept();
        if self.left > 2 * kept {
            self.text.drain(..self.left - kept);
            self.left = kept;
        }
        free
    }
}

impl Wanted {
    /// From where on the text may be the beginning of a secret.
    fn held_from(&self, text: &[u8]) -> usize {
        let line_end = text.iter().rposition(|byte| *byte == b'\n');
        let crosses = |at: usize| line_end.is_some_and(|end| at <= end);
        let plain =
            self.plain.open_at(text, |at, _| !crosses(at) || text.len() - at >= SECRET_BYTES_MIN);
        let folded = fold(text);
        let source = |at: usize| folded.source(&(at..at + 1)).start;
        let spelt = self.folded.open_at(&folded.bytes, |at, _| {
            !crosses(source(at)) || folded.bytes.len() - at >= SECRET_BYTES_MIN
        });
        let keys = self.plain.matches(text).filter(|(_, mark)| *mark == KEY);
        let key = keys
            .filter_map(|(prefix, _)| key(text, &prefix))
            .find(|key| key.range.end == text.len() && key.range.len() < 64 * KEY_CHARACTERS_MIN);
        let open = [plain, spelt.map(source), key.map(|key| key.range.start)];
        let held = open.into_iter().flatten().min().unwrap_or(text.len()).min(folded.open_at);
        if text.len() - held > self.kept() { text.len() } else { held }
    }
}
