//! A program's wish to be tried again later: a line `{"retry_after": SECONDS}` on its standard
//! output, the last of which counts when it fails.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::lines::Piece;
use crate::model::json;
use crate::model::run::{Ending, Stream};

/// The longest wait that a program may wish for, in seconds: a day.
const SECS_MAX: f64 = 24.0 * 60.0 * 60.0;

/// The wish, if there was one.
#[derive(Debug, Default)]
pub(super) struct Wait(Mutex<Option<u64>>);

/// The line, which has nothing else on it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    retry_after: f64,
}

impl Wait {
    /// Looks for the wish in what the program wrote.
    pub(super) fn look_for(&self, stream: Stream, pieces: &[Piece]) {
        if stream != Stream::Stdout {
            return;
        }
        for piece in pieces {
            let Piece::Line(line) = piece else { continue };
            if !json::unmarked(line.as_bytes()).trim_ascii_start().starts_with(b"{") {
                continue;
            }
            if let Ok(Line { retry_after }) = json::read(line.as_bytes()) {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = milliseconds(retry_after);
            }
        }
    }

    /// The ending, with the wish when it is a failure.
    pub(super) fn upon(&self, ending: Ending) -> Ending {
        match ending {
            Ending::Failed { error, .. } => {
                let wish = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
                Ending::Failed { error, retry_after_ms: wish }
            }
            ending => ending,
        }
    }
}

fn milliseconds(secs: f64) -> Option<u64> {
    let ms = (secs >= 0.0).then(|| (secs.min(SECS_MAX) * 1000.0).round());
    // Between 0 and a day.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    ms.map(|ms| ms as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_wish_of_a_failing_program_counts() {
        for (lines, wanted) in [
            (&["{\"retry_after\": 30}"][..], Some(30_000)),
            (&["{\"retry_after\": 1}", "text", "  {\"retry_after\": 2.5} "], Some(2500)),
            (&["{\"retry_after\": 1e9}"], Some(86_400_000)),
            (&["{\"retry_after\": -1}"], None),
            (&["{\"retry_after\": \"soon\"}"], None),
            (&["{\"retry_after\": 1, \"more\": 2}"], None),
            (&["retry_after 3"], None),
        ] {
            let wait = Wait::default();
            let line = |line: &&str| Piece::Line((*line).to_owned());
            wait.look_for(Stream::Stderr, &[line(&"{\"retry_after\": 7}")]);
            wait.look_for(Stream::Stdout, &lines.iter().map(line).collect::<Vec<_>>());
            let ending = wait.upon(Ending::failed("exit status 1"));
            let Ending::Failed { retry_after_ms, .. } = ending else { panic!("{ending:?}") };
            assert_eq!(retry_after_ms, wanted, "{lines:?}");
            assert_eq!(wait.upon(Ending::Completed), Ending::Completed);
        }
    }
}
