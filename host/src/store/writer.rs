//! SQLite's one writer, with group commit.
//!
//! A durable commit costs a disk flush; a statement costs microseconds. So all writes queue for one
//! task, which commits whatever has queued up while the last commit ran as one transaction:
//!
//! ```text
//!   writes   a ─────┐ b c d ──┐  e f ─┐
//!   writer   [ a | flush ][ b c d | flush ][ e f | flush ]
//! ```
//! Nobody waits for a timer, and under load the flush is shared by all that wait for it. A write is
//! answered after the commit that holds it. When one write of a group fails, the group is rolled
//! back and its members are applied one by one, so that only the failing one is refused.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::StoreError;
use super::sql::Tx;
use super::tally::{self, Tally};
use super::write::{Write, WriteError};
use crate::metrics::Metrics;

/// The most writes in one commit: bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 256;
/// How many writes may queue before the next one waits for its place.
const QUEUE_MAX: usize = 1024;

type Queued = Box<dyn Job>;

/// The way to the writer.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Queued>,
}

impl Writer {
    /// The way to the writer, and what [`work`] is to be given.
    pub(super) fn new() -> (Self, Jobs) {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        (Self { queue }, Jobs(jobs))
    }

    /// Applies a write and returns when it is on disk.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Waiting { write, applied: None, tally: Tally::default(), answer });
        self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// The writes that wait.
pub(super) struct Jobs(mpsc::Receiver<Queued>);

impl Jobs {
    /// Takes what waits, at least one; none when `stop` is called and nothing waits any more.
    async fn next(&mut self, group: &mut Vec<Queued>, stop: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.0.is_closed() => self.0.close(),
            count = self.0.recv_many(group, GROUP_MAX) => return count > 0,
        }
        self.0.recv_many(group, GROUP_MAX).await > 0
    }
}

/// The writer itself: commits until `stop` is called and everything that waited is committed.
pub(super) async fn work(
    mut connection: SqliteConnection,
    mut jobs: Jobs,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while jobs.next(&mut group, &stop).await {
        match commit(&mut connection, &mut group).await {
            Ok(()) => group.drain(..).for_each(|job| job.answer(&metrics)),
            Err(error) if group.len() == 1 => group.drain(..).for_each(|job| job.refuse(&error)),
            Err(_) => one_by_one(&mut connection, &mut group, &metrics).await,
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "database not closed properly");
    }
}

async fn one_by_one(connection: &mut SqliteConnection, group: &mut Vec<Queued>, metrics: &Metrics) {
    for mut job in group.drain(..) {
        match commit(connection, std::slice::from_mut(&mut job)).await {
            Ok(()) => job.answer(metrics),
            Err(error) => job.refuse(&error),
        }
    }
}

/// Applies the group in one transaction; on any error nothing of it has happened.
async fn commit(connection: &mut SqliteConnection, group: &mut [Queued]) -> Result<(), StoreError> {
    let result = apply(connection, group).await;
    if result.is_err() {
        // After a failed statement or commit, SQLite may have rolled back already.
        let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
    }
    result
}

async fn apply(connection: &mut SqliteConnection, group: &mut [Queued]) -> Result<(), StoreError> {
    let failed = |source: sqlx::Error| StoreError::Commit(source.to_string());
    // Immediate: a deferred transaction that reads first can fail at its first write.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(failed)?;
    for job in group.iter_mut() {
        job.apply(connection).await?;
    }
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(failed)?;
    Ok(())
}

/// A queued write, whatever its type.
trait Job: Send {
    fn apply<'j>(
        &'j mut self,
        connection: &'j mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'j>>;

    /// Counts what the write, now committed, brought about, and tells the caller what it gave.
    fn answer(self: Box<Self>, metrics: &Metrics);

    /// Tells the caller that nothing was written.
    fn refuse(self: Box<Self>, error: &StoreError);
}

struct Waiting<W: Write> {
    write: W,
    applied: Option<Result<W::Output, StoreError>>,
    tally: Tally,
    answer: oneshot::Sender<Result<W::Output, StoreError>>,
}

impl<W: Write> Job for Waiting<W> {
    fn apply<'j>(
        &'j mut self,
        connection: &'j mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'j>> {
        Box::pin(async move {
            // A defect in one write must not end the writer that all others need.
            let mut tx = Tx::Sqlite(connection);
            let applied = AssertUnwindSafe(self.write.apply(&mut tx)).catch_unwind();
            let (applied, tally) = tally::kept(applied).await;
            self.tally = tally;
            let panicked = || StoreError::Commit(format!("a defect: {} panicked", W::NAME));
            let result = applied.unwrap_or_else(|_| Err(WriteError::Store(panicked())));
            let result = result.map_err(|error| WriteError::into_store_error(error, W::NAME));
            let failed = result.as_ref().err().map(|error| StoreError::Commit(error.to_string()));
            self.applied = Some(result);
            failed.map_or(Ok(()), Err)
        })
    }

    fn answer(self: Box<Self>, metrics: &Metrics) {
        self.tally.count(metrics);
        // The caller may have gone; its write stands all the same.
        let _ = self.answer.send(self.applied.unwrap_or(Err(StoreError::Closed)));
    }

    fn refuse(self: Box<Self>, error: &StoreError) {
        let own = self.applied.and_then(Result::err);
        let _ = self.answer.send(Err(own.unwrap_or_else(|| StoreError::Commit(error.to_string()))));
    }
}
