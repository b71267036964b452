//! What other replicas of the host say through PostgreSQL: that there may be something to hand out.

use sqlx::postgres::PgListener;

use super::queues::CHANNEL;
use super::{Database, Store, StoreError};

/// The hints of all replicas, this one's own included. They come once a change is committed, and
/// some may be lost: the tables are the truth.
#[derive(Debug)]
pub struct Hints(PgListener);

impl Hints {
    /// Listens from now on; none on SQLite, where there is nobody to listen to.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn open(store: &Store) -> Result<Option<Self>, StoreError> {
        let Database::Postgres(pool) = &store.database else { return Ok(None) };
        let failed = |source| StoreError::database("listen for hints", source);
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        listener.listen(CHANNEL).await.map_err(failed)?;
        Ok(Some(Self(listener)))
    }

    /// Waits for the next hint. Hints that have come together are one, and so is a connection that
    /// was lost and is there again: meanwhile there may have been some.
    ///
    /// # Errors
    /// When the connection is lost for good.
    pub async fn next(&mut self) -> Result<(), StoreError> {
        let failed = |source| StoreError::database("listen for hints", source);
        self.0.try_recv().await.map_err(failed)?;
        while self.0.next_buffered().is_some() {}
        Ok(())
    }
}
