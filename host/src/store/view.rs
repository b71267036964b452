//! Several queries as one: what they give was so at one instant.

use std::future::Future;

use super::sql::Tx;
use super::write::WriteError;

/// What is read within one transaction that changes nothing.
pub(super) trait View: Send {
    /// What the caller learns.
    type Output: Send;
    /// What is being done, for errors: "read a run's activity".
    const DOING: &'static str;

    /// Reads it.
    fn look(
        &self,
        tx: &mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Output, WriteError>> + Send;
}
