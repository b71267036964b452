//! A SQLite store as a file of its own: copied while hosts write to it, looked at, and put back.
//!
//! ```text
//! copy      one snapshot of the store, compact, on disk when it returns
//! inspect   whether a file is a whole store, and of which version; it is opened to be read only
//! restore   a file in the store's place, when nobody has the store open; the old one is kept beside
//! ```
//! A copy holds what the store holds, secrets' names among it but no secret, and nothing beside it:
//! neither the configuration nor the admin's key.

mod copy;
mod inspect;
mod restore;

use std::path::Path;

pub use copy::copy;
pub use inspect::{Inspected, Unsound, inspect};
pub use restore::{RestoreError, Restored, restore};

/// The file of the store at `url`; none when it is on PostgreSQL.
pub fn file(url: &str) -> Option<&Path> {
    super::sqlite::file(url)
}
