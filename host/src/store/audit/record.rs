//! Rows, written with what they tell of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::sql::{Tx, binds};
use super::super::write::WriteError;
use crate::clock::Clock;
use crate::model::audit::{Actor, Author, Digest};
use crate::model::id::AuditId;
use crate::model::time::Time;

const INSERT: &str = "\
INSERT INTO audit
       (id, workspace_id, at, actor_kind, actor_id, action, object_kind, object_id, object_name,
        before, after, detail, peer, request_id, user_agent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

/// Something that was done to an object.
#[derive(Clone, Debug)]
pub(in crate::store) struct AuditEntry<'d> {
    action: &'static str,
    kind: &'static str,
    workspace_id: &'d str,
    at: Time,
    id: Option<&'d str>,
    name: Option<&'d str>,
    before: Option<Digest>,
    after: Option<Digest>,
    detail: Option<Value>,
    actor: Option<Actor>,
}

impl<'d> AuditEntry<'d> {
    /// An action, such as `task.create`, on an object of this kind.
    pub(in crate::store) fn new(
        action: &'static str,
        kind: &'static str,
        workspace_id: &'d str,
        at: Time,
    ) -> Self {
        let (id, name, before, after, detail, actor) = (None, None, None, None, None, None);
        Self { action, kind, workspace_id, at, id, name, before, after, detail, actor }
    }

    /// The object is this one.
    pub(in crate::store) fn on(self, id: &'d str) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The object has a name.
    pub(in crate::store) fn named(self, name: &'d str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The object's stored form has changed, begun or ended.
    pub(in crate::store) fn turned(self, before: Option<Digest>, after: Option<Digest>) -> Self {
        Self { before, after, ..self }
    }

    /// There is more to say: identifiers, names and counts only.
    pub(in crate::store) fn with(self, detail: Value) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// It is this actor's doing, though another asked for it.
    pub(in crate::store) fn by(self, actor: Actor) -> Self {
        Self { actor: Some(actor), ..self }
    }

    /// Adds its row. What left the object's stored form as it was is no change, and has none.
    pub(in crate::store) async fn record(
        &self,
        tx: &mut Tx<'_>,
        author: &Author,
    ) -> Result<(), WriteError> {
        if self.before.is_some() && self.before == self.after {
            return Ok(());
        }
        let (actor, place) = (self.actor.as_ref().unwrap_or(&author.actor), &author.place);
        let binds = binds![
            AuditId::mint(self.at, Clock.random()).as_str(),
            self.workspace_id,
            self.at,
            actor.kind().as_str(),
            actor.id(),
            self.action,
            self.kind,
            self.id,
            self.name,
            self.before.as_ref().map(Digest::as_bytes),
            self.after.as_ref().map(Digest::as_bytes),
            self.detail.as_ref().map(Value::to_string),
            place.peer.as_deref(),
            place.request_id.as_deref(),
            place.user_agent.as_deref(),
        ];
        tx.execute(INSERT, &binds).await?;
        Ok(())
    }
}

/// Adds the rows of what a controller has done to many objects at once: one for each workspace, with
/// its count.
pub(in crate::store) async fn forced(
    tx: &mut Tx<'_>,
    author: &Author,
    action: &'static str,
    kind: &'static str,
    workspaces: impl IntoIterator<Item = String>,
    at: Time,
) -> Result<(), WriteError> {
    let mut counts = BTreeMap::<String, u64>::new();
    for workspace in workspaces {
        *counts.entry(workspace).or_default() += 1;
    }
    for (workspace, count) in &counts {
        let entry = AuditEntry::new(action, kind, workspace, at).with(json!({ "count": count }));
        entry.record(tx, author).await?;
    }
    Ok(())
}
