//! The lines of a stream that come in portions, each of which is kept at once: nothing can be held
//! back. What a portion ends with is taken out when that much of a secret is there that its
//! rest, which the next portion may bring, must not be all that was missing.

use super::{Found, KEY, Redaction, SECRET_BYTES_MIN, Wanted, fold, key, lossy, merged};

/// How much of a secret is taken out before a place where a line was cut, in bytes.
const CUT_BYTES_MIN: usize = 4;

/// What a stream's earlier portions ended with.
#[derive(Debug, Default)]
pub struct Trail(Vec<u8>);

impl Redaction {
    /// Puts marks in place of the secrets in these lines, which follow those before. A line that
    /// `goes_on` was cut, and the next one is its rest.
    pub fn lines(
        &self,
        trail: &mut Trail,
        lines: &mut [&mut String],
        goes_on: impl Fn(&str) -> bool,
    ) {
        let Some(wanted) = &self.0 else { return };
        let mut text = std::mem::take(&mut trail.0);
        let (mut spans, mut open) = (Vec::with_capacity(lines.len()), false);
        for line in lines.iter() {
            let start = text.len();
            text.extend_from_slice(line.as_bytes());
            spans.push(start..text.len());
            open = goes_on(line);
            if !open {
                text.push(b'\n');
            }
        }
        let found = wanted.found_to_the_end(&text, open);
        for (line, span) in lines.iter_mut().zip(spans) {
            let touches =
                |found: &Found| found.range.start < span.end && span.start < found.range.end;
            if found.iter().any(touches) {
                let mut clean = Vec::with_capacity(line.len());
                wanted.blot(&text, &found, span, &mut clean, None);
                **line = lossy(clean);
            }
        }
        text.drain(..text.len().saturating_sub(wanted.kept()));
        trail.0 = text;
    }
}

impl Wanted {
    /// What is found, and what the text ends with when that is the beginning of a secret.
    fn found_to_the_end(&self, text: &[u8], open: bool) -> Vec<Found> {
        let mut found = self.found(text);
        let folded = fold(text);
        let length = folded.bytes.len();
        let begun = self.folded.open_at(&folded.bytes, |at, shortest| match open {
            true => length - at >= CUT_BYTES_MIN,
            false => length - at >= SECRET_BYTES_MIN && 2 * (length - at) >= shortest,
        });
        let begun = begun.map(|at| folded.source(&(at..at + 1)).start);
        let mut keys = self.plain.matches(text).filter(|(_, mark)| *mark == KEY);
        let key = keys.find_map(|(prefix, _)| {
            key(text, &prefix).filter(|key| open && key.range.end == text.len())
        });
        for start in begun.into_iter().chain(key.map(|key| key.range.start)) {
            found.push(Found { range: start..text.len(), mark: 0, longest: 0 });
        }
        merged(found)
    }
}
