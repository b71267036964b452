//! What controllers removed, and who ordered a pass of one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::sql::Tx;
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use super::AuditEntry;
use crate::model::audit::Author;
use crate::model::controller::{ControllerName, Items};
use crate::model::time::Time;

/// Tells how many things a controller has removed in one pass, if any.
///
/// # Errors
/// When the store fails.
pub async fn note_removed(store: &Store, items: &Items, now: Time) -> Result<(), StoreError> {
    if items.is_empty() {
        return Ok(());
    }
    let note = Note { action: "store.remove", kind: "store", id: None, detail: json!(items), now };
    note.write(store).await
}

/// Tells who has had a controller have a pass.
///
/// # Errors
/// When the store fails.
pub async fn note_ordered(
    store: &Store,
    name: ControllerName,
    now: Time,
) -> Result<(), StoreError> {
    let (id, detail) = (Some(name.as_str()), json!({}));
    Note { action: "controller.run", kind: "controller", id, detail, now }.write(store).await
}

struct Note {
    action: &'static str,
    kind: &'static str,
    id: Option<&'static str>,
    detail: Value,
    now: Time,
}

impl Note {
    async fn write(self, store: &Store) -> Result<(), StoreError> {
        store.write(Noted { note: self, author: store.author() }).await
    }
}

struct Noted {
    note: Note,
    author: Arc<Author>,
}

impl Write for Noted {
    type Output = ();
    const NAME: &'static str = "record_controller_result";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let Note { action, kind, id, detail, now } = &self.note;
        let entry = AuditEntry::new(action, kind, "", *now).with(detail.clone());
        match id {
            Some(id) => entry.on(id).record(tx, &self.author).await,
            None => entry.record(tx, &self.author).await,
        }
    }
}
