//! What has ended long ago, removed.
//!
//! ```text
//! logs      of runs that have ended: lines and events; the run stays and says so
//! runs      with their commands and inputs, once their log is gone; a task with its last run
//! words     to workers, which belong to no run
//! events    with decisions and identities, when nothing waits for them
//! sessions  that no run belongs to any more
//! ```
//! Whatever has not ended stays, and with it what it came from. What is due is looked for by readers,
//! a page at a time; each page is looked at again in the transaction that removes it, which is small,
//! so that other writers get their turn. A dry run looks in the same way, and counts.

mod events;
mod part;
mod patience;
mod runs;
mod sessions;
mod tasks;
mod words;

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::sql::{Reader, Row, Tx, binds};
use super::view::View;
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::scope::Scope;
use crate::model::time::Time;
pub use events::events;
pub use patience::{Patient, patient};
pub use runs::{logs, runs};
pub use sessions::sessions;
pub use tasks::tasks;
pub use words::words;

/// How many events, runs, tasks or sessions go in one transaction.
const BATCH: u32 = 500;

/// How many of each were removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Events.
    pub events: u64,
    /// What triggers decided on them.
    pub decisions: u64,
    /// What they were recognised by.
    pub identities: u64,
    /// Runs.
    pub runs: u64,
    /// Attempts of runs, and words to workers.
    pub commands: u64,
    /// What runs were told.
    pub inputs: u64,
    /// Lines of their logs.
    pub log_lines: u64,
    /// Events of runs.
    pub run_events: u64,
    /// Tasks.
    pub tasks: u64,
    /// Sessions.
    pub sessions: u64,
}

impl Removed {
    /// Each with its name.
    pub fn counts(&self) -> [(&'static str, u64); 10] {
        [
            ("events", self.events),
            ("decisions", self.decisions),
            ("identities", self.identities),
            ("runs", self.runs),
            ("commands", self.commands),
            ("inputs", self.inputs),
            ("log_lines", self.log_lines),
            ("run_events", self.run_events),
            ("tasks", self.tasks),
            ("sessions", self.sessions),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.counts().into_iter().filter(|(_, count)| *count > 0);
        let some: Vec<String> =
            some.map(|(name, count)| format!("{} {count}", name.replace('_', " "))).collect();
        f.write_str(if some.is_empty() { "nothing" } else { "" })?;
        f.write_str(&some.join(", "))
    }
}

impl AddAssign for Removed {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.decisions += other.decisions;
        self.identities += other.identities;
        self.runs += other.runs;
        self.commands += other.commands;
        self.inputs += other.inputs;
        self.log_lines += other.log_lines;
        self.run_events += other.run_events;
        self.tasks += other.tasks;
        self.sessions += other.sessions;
    }
}

/// What is looked through.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Whose it is.
    pub scope: Scope,
    /// What ended, or was received, then or before is due.
    pub until: Time,
    /// Count, and change nothing.
    pub dry_run: bool,
}

/// The workspaces that have anything which may be due, the global scope among them.
///
/// # Errors
/// When the store fails.
pub async fn scopes(store: &Store) -> Result<Vec<Scope>, StoreError> {
    let mut scopes = vec![];
    for [first, next] in WORKSPACES {
        let mut rows = store.read("list_workspaces", first, &[]).await?;
        while let Some(id) = workspace(&rows)? {
            rows = store.read("list_workspaces", next, &binds![id.as_str()]).await?;
            scopes.extend(Scope::parse(&id).ok());
        }
    }
    scopes.sort();
    scopes.dedup();
    Ok(scopes)
}

/// From one workspace to the next, by an index: there are many rows and few workspaces.
macro_rules! workspaces_of {
    ($table:literal) => {
        [
            concat!("SELECT min(workspace_id) AS id FROM ", $table),
            concat!("SELECT min(workspace_id) AS id FROM ", $table, " WHERE workspace_id > $1"),
        ]
    };
}

const WORKSPACES: [[&str; 2]; 4] = [
    workspaces_of!("events"),
    workspaces_of!("runs"),
    workspaces_of!("tasks"),
    workspaces_of!("commands"),
];

fn workspace(rows: &[Row]) -> Result<Option<String>, StoreError> {
    rows.first().map_or(Ok(None), |row| Reader::new("events", row).get("id"))
}

/// A place in an order by time, and by arrival within an instant.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: i64,
    seq: i64,
}

impl Mark {
    const START: Self = Self { at: -1, seq: -1 };
}

/// Some of what is due, and where the next begins; nowhere at the end.
struct Page {
    ids: Vec<String>,
    next: Option<Mark>,
}

impl Page {
    /// Of rows with `id`, `seq` and `ended_at`, all of which are due.
    fn read(table: &'static str, rows: &[Row], limit: u32) -> Result<Self, StoreError> {
        let id = |row| Reader::new(table, row).get("id");
        let ids = rows.iter().map(id).collect::<Result<_, _>>()?;
        let next = match rows.last() {
            Some(last) if rows.len() >= limit as usize => {
                let r = Reader::new(table, last);
                Some(Mark { at: r.get("ended_at")?, seq: r.get("seq")? })
            }
            _ => None,
        };
        Ok(Self { ids, next })
    }
}

/// Removes some of what is due, or counts it.
trait Batch: Write<Output = Removed> + Clone {
    /// Counts what [`Write::apply`] would remove.
    fn count(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Removed, WriteError>> + Send;
}

struct Counted<B>(B);

impl<B: Batch> View for Counted<B> {
    type Output = Removed;
    const NAME: &'static str = "count_removable";

    async fn look(&self, tx: &mut Tx<'_>) -> Result<Removed, WriteError> {
        self.0.count(tx).await
    }
}

async fn take(store: &Store, batch: impl Batch, dry_run: bool) -> Result<Removed, StoreError> {
    match dry_run {
        true => store.view(Counted(batch)).await,
        false => store.write(batch).await,
    }
}

/// Identifiers as a statement takes them.
fn list(ids: &[String]) -> String {
    serde_json::Value::from(ids).to_string()
}

/// The identifiers of rows.
fn ids(table: &'static str, rows: &[Row]) -> Result<Vec<String>, StoreError> {
    rows.iter().map(|row| Reader::new(table, row).get("id")).collect()
}
