//! The contract: what a folder with one `hillock.toml` does, by the built program, on both
//! databases.

mod answers;
mod delivery;
mod files;
mod outage;
mod prompts;
mod scopes;
mod stopping;

use crate::harness::database::Database;
use crate::harness::folder::Folder;

/// The `hillock.toml` that the contract is written with.
pub(crate) const CONFIG: &str = include_str!("hillock.toml");

/// A folder holding only that file.
pub(crate) async fn folder(database: Database) -> Folder {
    Folder::new(database, CONFIG).await
}
