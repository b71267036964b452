//! An event once more: a new one that brings the same.

use std::sync::Arc;

use serde_json::json;

use super::accept::{Delivery, Enter};
use crate::model::audit::Author;
use crate::model::envelope::Event;
use crate::model::id::EventId;
use crate::model::time::Time;
use crate::store::audit::AuditEntry;
use crate::store::sql::Tx;
use crate::store::write::{Write, WriteError};
use crate::store::{Store, StoreError};

/// Puts an event into the inbox that brings once more what the event `of` brought. It is nobody's
/// duplicate, and nothing is a duplicate of it.
///
/// # Errors
/// When the store fails; then there is no such event.
pub async fn replay(
    store: &Store,
    again: Arc<Event>,
    of: EventId,
    now: Time,
) -> Result<(), StoreError> {
    let delivery = Delivery { event: again, identities: Vec::new(), likeness: None };
    let enter = Enter::new(std::slice::from_ref(&delivery));
    store.write(Replay { event: delivery.event, enter, of, now, author: store.author() }).await
}

struct Replay {
    event: Arc<Event>,
    enter: Enter,
    of: EventId,
    now: Time,
    author: Arc<Author>,
}

impl Write for Replay {
    type Output = ();
    const NAME: &'static str = "replay_event";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        self.enter.apply(tx).await?;
        let Event { id, scope, .. } = &*self.event;
        let entry = AuditEntry::new("event.replay", "event", scope.workspace_id(), self.now);
        entry.on(self.of.as_str()).with(json!({ "event_id": id })).record(tx, &self.author).await
    }
}
