//! The folder that the contract is written with.

use super::database::Database;
use super::folder::Folder;

/// Its `hillock.toml`.
pub(crate) const CONFIG: &str = include_str!("../contract/hillock.toml");

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
