//! What runs wrote, line by line.
//!
//! A line is kept without secrets and cut where it is too long; a log that is full ends with one
//! line of the host's own, and whoever writes on is still told that it was heard.

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::telling::{Teller, integer, news};
use super::write::{Write, WriteError};
use super::{Store, StoreError, commands::Fence};
use crate::model::command::Hold;
use crate::model::id::RunId;
use crate::model::run::{LogLine, Stream};
use crate::model::time::Time;

/// What a line counts for beside its text, in bytes: an empty one is not free.
const LINE_BYTES: usize = 32;

/// A line with its number within the run, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// The number.
    pub seq: i64,
    /// The line.
    pub line: LogLine,
}

const SELECT_LAST: &str = "\
SELECT COALESCE(MAX(seq), 0) AS seq
  FROM run_logs
 WHERE run_id = $1";

// One statement for a whole batch: the lines travel as a JSON array.
const INSERT: Sql = Sql {
    sqlite: "\
INSERT INTO run_logs (run_id, seq, at, stream, text)
SELECT $1, $2 + key + 1, value ->> '$.at', value ->> '$.stream', value ->> '$.text'
  FROM json_each($3)",
    postgres: "\
INSERT INTO run_logs (run_id, seq, at, stream, text)
SELECT $1, $2 + ordinality, (value ->> 'at')::bigint, value ->> 'stream', value ->> 'text'
  FROM json_array_elements($3::json) WITH ORDINALITY",
};

const COUNT: &str = "\
UPDATE commands
   SET log_lines = $2
 WHERE id = $1";

const WEIGH: &str = "\
UPDATE runs
   SET log_bytes = $2, log_full = $3
 WHERE id = $1";

const ADD_WEIGHT: &str = "\
UPDATE runs
   SET log_bytes = log_bytes + $2
 WHERE id = $1
   AND log_full = 0";

const SELECT: &str = "\
SELECT run_id AS id, seq, at, stream, text
  FROM run_logs
 WHERE run_id = $1
   AND seq > $2
 ORDER BY seq
 LIMIT $3";

/// Adds lines that a worker read, of which the first is the `first`th of the command, counted from
/// 1; those that are stored already are passed over. A gap counts as a lost fence.
///
/// # Errors
/// When the store fails.
pub async fn append(
    store: &Store,
    hold: &Hold,
    first: u64,
    lines: Vec<LogLine>,
    now: Time,
) -> Result<Fence, StoreError> {
    let lines = store.record.lines(&hold.command_id, first, lines);
    let run_bytes_max = store.record.limits.run_bytes;
    let append = Append { hold: hold.clone(), first, lines, run_bytes_max, now };
    Ok(store.tell(store.write(append).await?))
}

/// A run's lines behind the number `after`, in order.
///
/// # Errors
/// When the store fails.
pub async fn read(
    store: &Store,
    run_id: &RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<StoredLine>, StoreError> {
    let rows = store.read("read_logs", SELECT, &binds![run_id.as_str(), after, limit]).await?;
    rows.iter().map(read_line).collect()
}

/// The same within a transaction, and the number up to which they were read: the last line's, when
/// `after` lies behind it.
pub(super) async fn read_in(
    tx: &mut Tx<'_>,
    run_id: &RunId,
    after: i64,
    limit: u32,
) -> Result<(Vec<StoredLine>, i64), WriteError> {
    let rows = tx.rows(SELECT, &binds![run_id.as_str(), after, limit]).await?;
    let lines = rows.iter().map(read_line).collect::<Result<Vec<_>, _>>()?;
    let through = match lines.last() {
        Some(line) => line.seq,
        None => after.min(last(tx, run_id.as_str()).await?),
    };
    Ok((lines, through))
}

/// Adds a line of the host's own to a run's log, unless that is full.
pub(super) async fn host_line(
    tx: &mut Tx<'_>,
    run_id: &str,
    text: &str,
    at: Time,
) -> Result<(), WriteError> {
    let line = LogLine { at, stream: Stream::Host, text: text.to_owned() };
    let weight = integer((line.text.len() + LINE_BYTES) as u64);
    if tx.execute(ADD_WEIGHT, &binds![run_id, weight]).await? == 0 {
        return Ok(());
    }
    let last = last(tx, run_id).await?;
    tx.execute(INSERT, &binds![run_id, last, json_of(std::iter::once(&line))]).await?;
    Ok(())
}

async fn last(tx: &mut Tx<'_>, run_id: &str) -> Result<i64, WriteError> {
    let row = tx.row(SELECT_LAST, &binds![run_id]).await?;
    Ok(row.map_or(Ok(0), |row| row.get("seq"))?)
}

struct Append {
    hold: Hold,
    first: u64,
    lines: Vec<LogLine>,
    run_bytes_max: u64,
    now: Time,
}

impl Write for Append {
    /// The run; none when the fence is lost.
    type Output = Option<String>;
    const NAME: &'static str = "append_logs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Option<String>, WriteError> {
        let Some(teller) = Teller::fenced(tx, &self.hold, self.now).await? else {
            return Ok(None);
        };
        let Some(new) = news(self.first, &self.lines, teller.log_lines) else { return Ok(None) };
        if !new.is_empty() {
            self.insert(tx, &teller, new).await?;
            let heard = integer(teller.log_lines + new.len() as u64);
            tx.execute(COUNT, &binds![self.hold.command_id.as_str(), heard]).await?;
        }
        Ok(Some(teller.run_id))
    }
}

impl Append {
    /// Stores as many lines as there is room for, and once, that there is no more.
    async fn insert(
        &self,
        tx: &mut Tx<'_>,
        teller: &Teller,
        new: &[LogLine],
    ) -> Result<(), WriteError> {
        if teller.log_full {
            return Ok(());
        }
        let run_id = teller.run_id.as_str();
        let (count, bytes) = self.fitting(teller.log_bytes, new);
        let full = count < new.len();
        let marker = full.then(|| self.marker());
        let json = json_of(new[..count].iter().chain(&marker));
        let last = last(tx, run_id).await?;
        tx.execute(INSERT, &binds![run_id, last, json]).await?;
        tx.execute(WEIGH, &binds![run_id, integer(bytes), full]).await?;
        Ok(())
    }

    /// How many of the lines fit, and what the log takes up with them.
    fn fitting(&self, mut bytes: u64, lines: &[LogLine]) -> (usize, u64) {
        for (i, line) in lines.iter().enumerate() {
            let weight = (line.text.len() + LINE_BYTES) as u64;
            if bytes + weight > self.run_bytes_max {
                return (i, bytes);
            }
            bytes += weight;
        }
        (lines.len(), bytes)
    }

    fn marker(&self) -> LogLine {
        let max = self.run_bytes_max;
        let text = format!("… [cut: the log is full at {max} bytes, and nothing more is kept]");
        LogLine { at: self.now, stream: Stream::Host, text }
    }
}

fn json_of<'l>(lines: impl Iterator<Item = &'l LogLine>) -> String {
    let line = |line: &LogLine| {
        serde_json::json!({
            "at": line.at.as_millis(),
            "stream": line.stream,
            "text": line.text,
        })
    };
    serde_json::Value::from_iter(lines.map(line)).to_string()
}

fn read_line(row: &Row) -> Result<StoredLine, StoreError> {
    let r = Reader::new("run_logs", row);
    let line = LogLine { at: r.time("at")?, stream: r.text("stream")?, text: r.get("text")? };
    Ok(StoredLine { seq: r.get("seq")?, line })
}
