//! What runs wrote, line by line.

use super::sql::{Reader, Row, Sql, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError, commands::Fence};
use crate::model::command::Token;
use crate::model::id::{CommandId, RunId};
use crate::model::run::LogLine;
use crate::model::text::storable;

/// A line with its number within the run, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// The number.
    pub seq: i64,
    /// The line.
    pub line: LogLine,
}

const SELECT_FENCED: Sql = Sql {
    sqlite: "\
SELECT id, run_id, log_lines
  FROM commands
 WHERE id = $1
   AND token_hash = $2
   AND state IN ('sent', 'running')",
    postgres: "\
SELECT id, run_id, log_lines
  FROM commands
 WHERE id = $1
   AND token_hash = $2
   AND state IN ('sent', 'running')
   FOR UPDATE",
};

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
    id: &CommandId,
    token: &Token,
    first: u64,
    lines: Vec<LogLine>,
) -> Result<Fence, StoreError> {
    store.write(Append { id: id.clone(), token: token.clone(), first, lines }).await
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
    let rows = store.read("read logs", SELECT, &binds![run_id.as_str(), after, limit]).await?;
    rows.iter().map(read_line).collect()
}

struct Append {
    id: CommandId,
    token: Token,
    first: u64,
    lines: Vec<LogLine>,
}

impl Write for Append {
    type Output = Fence;
    const DOING: &'static str = "store logs";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Fence, WriteError> {
        let binds = binds![self.id.as_str(), self.token.hash()];
        let Some(row) = tx.row(SELECT_FENCED, &binds).await? else {
            return Ok(Fence::Lost);
        };
        let r = Reader::new("commands", &row);
        let (run_id, stored): (String, u32) = (r.get("run_id")?, r.count("log_lines")?);
        if self.first == 0 || self.first > u64::from(stored) + 1 {
            // A worker numbers its lines from 1 and leaves none out. This one lies.
            return Ok(Fence::Lost);
        }
        let new = self.behind(stored.into());
        if new.is_empty() {
            return Ok(Fence::Held);
        }
        let last = tx.row(SELECT_LAST, &binds![run_id.as_str()]).await?;
        let last: i64 = last.map_or(Ok(0), |row| row.get("seq"))?;
        tx.execute(INSERT, &binds![run_id.as_str(), last, json_of(new)]).await?;
        let through = (self.first - 1).saturating_add(self.lines.len() as u64);
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        tx.execute(COUNT, &binds![self.id.as_str(), through]).await?;
        Ok(Fence::Held)
    }
}

impl Append {
    /// The lines numbered above `stored`.
    fn behind(&self, stored: u64) -> &[LogLine] {
        let known = (stored + 1).saturating_sub(self.first);
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(self.lines.len());
        &self.lines[known..]
    }
}

fn json_of(lines: &[LogLine]) -> String {
    let line = |line: &LogLine| {
        serde_json::json!({
            "at": line.at.as_millis(),
            "stream": line.stream,
            "text": storable(line.text.clone()),
        })
    };
    serde_json::Value::from_iter(lines.iter().map(line)).to_string()
}

fn read_line(row: &Row) -> Result<StoredLine, StoreError> {
    let r = Reader::new("run_logs", row);
    let line = LogLine { at: r.time("at")?, stream: r.text("stream")?, text: r.get("text")? };
    Ok(StoredLine { seq: r.get("seq")?, line })
}
