//! Identifiers, found by how they begin: nobody types 32 digits.

use super::sql::{Reader, binds};
use super::{Store, StoreError};
use crate::model::scope::Scope;

/// How many are found at most: two are enough to know that it is not one.
pub const FOUND_MAX: u32 = 2;

// By index. What follows the beginning are hexadecimal digits, so `g` is behind all of them.
macro_rules! select {
    ($table:literal) => {
        concat!(
            "SELECT id FROM ",
            $table,
            " WHERE id >= $1 AND id < $2 AND workspace_id = $3 ORDER BY id LIMIT $4"
        )
    };
}

/// The sorts of identifier, and where they are.
const TABLES: [(&str, &str); 14] = [
    ("evt_", select!("events")),
    ("run_", select!("runs")),
    ("task_", select!("tasks")),
    ("cmd_", select!("commands")),
    ("ses_", select!("sessions")),
    ("wrk_", select!("workers")),
    ("btk_", select!("bootstrap_tokens")),
    ("agt_", select!("definitions")),
    ("ext_", select!("definitions")),
    ("hok_", select!("definitions")),
    ("job_", select!("definitions")),
    ("obs_", select!("definitions")),
    ("trg_", select!("definitions")),
    ("wbh_", select!("definitions")),
];

/// The first identifiers of a workspace that begin like this; none of a sort that is not looked for.
///
/// # Errors
/// When the store fails.
pub async fn beginning_with(
    store: &Store,
    scope: &Scope,
    beginning: &str,
) -> Result<Vec<String>, StoreError> {
    let Some((_, select)) = TABLES.iter().find(|(sort, _)| beginning.starts_with(*sort)) else {
        return Ok(Vec::new());
    };
    let behind = format!("{beginning}g");
    let binds = binds![beginning, behind, scope.workspace_id(), FOUND_MAX];
    let rows = store.read("find_ids", *select, &binds).await?;
    rows.iter().map(|row| Reader::new("identifiers", row).get("id")).collect()
}
