//! The contract: what a folder with one `hillock.toml` does, by the built program, on both
//! databases.

mod answers;
mod delivery;
mod expressions;
mod files;
mod json;
mod methods;
mod outage;
mod parameters;
mod prompts;
mod scopes;
mod stopping;

use crate::harness::database::Database;
use crate::harness::folder::Folder;

/// The `hillock.toml` that the contract is written with.
pub(crate) const CONFIG: &str = include_str!("hillock.toml");

/// The same, and its trigger fires as often as something comes.
pub(crate) async fn folder_without_limit(database: Database) -> Folder {
    let trigger = "event = \"github.issues\"\n";
    assert!(CONFIG.contains(trigger), "{CONFIG}");
    Folder::new(database, &CONFIG.replace(trigger, &format!("{trigger}fire_limit = \"none\"\n")))
        .await
}

/// A folder holding only that file.
pub(crate) async fn folder(database: Database) -> Folder {
    Folder::new(database, CONFIG).await
}
