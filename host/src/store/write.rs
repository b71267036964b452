//! A change to the store, as a value.

use std::future::Future;

use super::StoreError;
use super::sql::Tx;

/// A change that is applied within one transaction, whole or not at all.
///
/// It may be applied more than once: when it shares a transaction with another write that fails, or
/// meets a conflict on PostgreSQL, the transaction is rolled back and it is applied again. So it
/// holds all it needs, and changes nothing but the store.
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller learns.
    type Output: Send + 'static;
    /// Its name in errors and in metrics: `accept_events`.
    const NAME: &'static str;

    /// Applies the change.
    fn apply(
        &self,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Output, WriteError>> + Send;
}

/// Why a change could not be applied.
#[derive(Debug)]
pub(super) enum WriteError {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl WriteError {
    pub(super) fn into_store_error(self, operation: &'static str) -> StoreError {
        match self {
            Self::Sql(source) => StoreError::database(operation, source),
            Self::Store(error) => error,
        }
    }

    /// Whether a rival on PostgreSQL was faster, and the transaction should be tried again.
    pub(super) fn is_conflict(&self) -> bool {
        // serialization_failure, deadlock_detected, and unique_violation: what a rival has just
        // committed is seen at the next try.
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("40001" | "40P01" | "23505"))
    }
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
