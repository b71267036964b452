//! What a worker tells of an attempt that it has acknowledged, piece by piece: lines and events are
//! fenced by the worker and the command's current token, and numbered from 1 within the command, so that what is said again is known.

use super::StoreError;
use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::WriteError;
use crate::model::command::Hold;
use crate::model::time::Time;

const SELECT_TELLER: Sql = Sql {
    sqlite: "\
SELECT c.id, c.run_id, c.log_lines, c.events, r.log_bytes, r.log_full
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.id = $1
   AND c.token_hash = $2
   AND c.token_expires_at > $3
   AND c.type = 'run'
   AND c.worker_id = $4
   AND c.state IN ('acknowledged', 'running')",
    postgres: "\
SELECT c.id, c.run_id, c.log_lines, c.events, r.log_bytes, r.log_full
  FROM commands c
  JOIN runs r ON r.id = c.run_id
 WHERE c.id = $1
   AND c.token_hash = $2
   AND c.token_expires_at > $3
   AND c.type = 'run'
   AND c.worker_id = $4
   AND c.state IN ('acknowledged', 'running')
   FOR UPDATE OF c",
};

/// An attempt in the hands of who tells of it, and what was told so far.
pub(super) struct Teller {
    pub(super) run_id: String,
    /// How many lines of the present holder were heard.
    pub(super) log_lines: u64,
    /// How many events of the present holder were heard.
    pub(super) events: u64,
    /// What the run's log takes up, in bytes.
    pub(super) log_bytes: u64,
    /// Whether the log says already that it goes on without being kept.
    pub(super) log_full: bool,
}

impl Teller {
    /// The attempt, if the token is its current one and was given to this worker.
    pub(super) async fn fenced(
        tx: &mut Tx<'_>,
        hold: &Hold,
        now: Time,
    ) -> Result<Option<Self>, WriteError> {
        let Hold { worker_id, command_id, token } = hold;
        let binds = binds![command_id.as_str(), token.hash(), now, worker_id.as_str()];
        let row = tx.row(SELECT_TELLER, &binds).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("commands", row);
        let number = |column| r.parse(column, |n: i64| u64::try_from(n).ok());
        Ok(Self {
            run_id: r.get("run_id")?,
            log_lines: number("log_lines")?,
            events: number("events")?,
            log_bytes: number("log_bytes")?,
            log_full: r.flag("log_full")?,
        })
    }
}

/// The pieces that are new when so many were heard; none when there is a gap. A teller numbers from
/// 1 and leaves nothing out: one that does lies.
pub(super) fn news<T>(first: u64, pieces: &[T], heard: u64) -> Option<&[T]> {
    if first == 0 || first > heard.saturating_add(1) {
        return None;
    }
    let known = usize::try_from(heard + 1 - first).unwrap_or(usize::MAX).min(pieces.len());
    Some(&pieces[known..])
}

/// A count or a number, as the databases have them.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_passed_over_and_a_gap_is_a_lie() {
        for (first, heard, wanted) in [
            (1, 0, Some("ab")),
            (1, 1, Some("b")),
            (2, 1, Some("ab")),
            (1, 2, Some("")),
            (1, 9, Some("")),
            (0, 0, None),
            (2, 0, None),
            (u64::MAX, 3, None),
        ] {
            let found = news(first, b"ab", heard);
            assert_eq!(found, wanted.map(str::as_bytes), "{first}, {heard}");
        }
    }
}
