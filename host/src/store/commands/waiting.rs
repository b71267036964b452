//! How many commands wait, up to a bound.

use super::super::sql::{Reader, binds};
use super::super::{Store, StoreError};
use crate::model::scope::Scope;

// Each of these is answered by an index alone, and ends at the bound. All that waits for a worker
// expires some time, but for what was queued by the first versions.
const COUNT_OF_WORKSPACE: &str = "\
SELECT count(*) AS waiting
  FROM (SELECT 1 AS one
          FROM commands
         WHERE workspace_id = $1
           AND state IN ('pending', 'blocked')
         LIMIT $2) AS counted";

const COUNT: &str = "\
SELECT count(*) AS waiting
  FROM (SELECT 1 AS one
          FROM commands
         WHERE expires_at IS NOT NULL
           AND state IN ('pending', 'blocked')
         LIMIT $1) AS counted";

/// How many commands wait, of one workspace or of all; `max` when there are more.
///
/// # Errors
/// When the store fails.
pub async fn waiting(store: &Store, scope: Option<&Scope>, max: u32) -> Result<u32, StoreError> {
    let rows = match scope {
        Some(scope) => {
            let binds = binds![scope.workspace_id(), max];
            store.read("count_waiting", COUNT_OF_WORKSPACE, &binds).await?
        }
        None => store.read("count_waiting", COUNT, &binds![max]).await?,
    };
    rows.first().map_or(Ok(0), |row| Reader::new("commands", row).count("waiting"))
}
