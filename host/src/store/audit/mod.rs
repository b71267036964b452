//! The audit: who has changed what, and from where.
//!
//! ```text
//!   api ─── Author ───┐
//!   controllers ──────┼─► Store::acting ──► a Write holds it ──► change + row, one transaction
//!   files: `config` ──┘
//! ```
//! A row is added in the transaction of the change that it tells of, by [`AuditEntry::record`], and never
//! changed: only [`remove_old`] takes rows away. It holds identifiers, names, counts and digests,
//! and nothing that anybody has written. What senders, runs and workers bring is data, and not here.

mod controllers;
mod list;
mod record;
mod remove;

use std::sync::Arc;

use super::Store;
use crate::model::audit::Author;
pub use controllers::{note_ordered, note_removed};
pub use list::{AuditFilter, Record, forward, list, newest};
pub(super) use record::{AuditEntry, forced};
pub use remove::{announce, count_old, remove_old};

impl Store {
    /// The same store, in this author's hands: the audit names it for what is changed through it.
    #[must_use]
    pub fn acting(&self, author: Author) -> Self {
        Self { author: Arc::new(author), ..self.clone() }
    }

    /// In whose hands it is, for a write to hold.
    pub(super) fn author(&self) -> Arc<Author> {
        Arc::clone(&self.author)
    }
}
