//! Several queries as one: what they give was so at one instant.

use std::future::Future;

use super::sql::Tx;
use super::write::WriteError;

/// What is read within one transaction that changes nothing.
pub(super) trait View: Send {
    /// What the caller learns.
    type Output: Send;
    /// Its name in errors and in metrics: `read_run_activity`.
    const NAME: &'static str;

    /// Reads it.
    fn look(
        &self,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Output, WriteError>> + Send;
}
