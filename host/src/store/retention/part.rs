//! Rows that belong to others, and go with them.

use super::super::sql::{Reader, Sql, Tx, binds};
use super::super::write::WriteError;

/// Rows of a table that belong to what is in the list `$1`.
pub(super) struct Part {
    pub(super) remove: Sql,
    pub(super) count: Sql,
}

/// The rows of a table, those before the list, and what comes behind it.
macro_rules! part {
    ($table:literal, $before:literal, $after:literal) => {
        Part {
            remove: Sql {
                sqlite: concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $before,
                    " IN (SELECT value FROM json_each($1))",
                    $after
                ),
                postgres: concat!(
                    "DELETE FROM ",
                    $table,
                    " WHERE ",
                    $before,
                    " IN (SELECT json_array_elements_text($1::json))",
                    $after
                ),
            },
            count: Sql {
                sqlite: concat!(
                    "SELECT count(*) AS counted FROM ",
                    $table,
                    " WHERE ",
                    $before,
                    " IN (SELECT value FROM json_each($1))",
                    $after
                ),
                postgres: concat!(
                    "SELECT count(*) AS counted FROM ",
                    $table,
                    " WHERE ",
                    $before,
                    " IN (SELECT json_array_elements_text($1::json))",
                    $after
                ),
            },
        }
    };
    ($table:literal, $before:literal) => {
        part!($table, $before, "")
    };
}
pub(super) use part;

impl Part {
    pub(super) async fn remove(&self, tx: &mut Tx<'_>, list: &str) -> Result<u64, WriteError> {
        Ok(tx.execute(self.remove, &binds![list]).await?)
    }

    pub(super) async fn count(&self, tx: &mut Tx<'_>, list: &str) -> Result<u64, WriteError> {
        let Some(row) = tx.row(self.count, &binds![list]).await? else { return Ok(0) };
        Ok(Reader::new("parts", &row).count("counted")?.into())
    }
}
