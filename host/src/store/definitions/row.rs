//! A definition's row, and all that has to keep in step with it.

use crate::config::definitions::Declared;
use crate::model::definition::{Definition, DefinitionSource, Hook, Job, Point, Trigger, Watch};
use crate::model::id::WebhookId;
use crate::model::json;
use crate::model::time::Time;
use crate::store::schedules;
use crate::store::sql::{Sql, Tx, binds};
use crate::store::write::WriteError;

// Two hosts that change definitions do so one after the other; SQLite has one writer.
const LOCK: Sql = Sql {
    sqlite: "SELECT revision FROM definitions_revision WHERE one = 1",
    postgres: "SELECT revision FROM definitions_revision WHERE one = 1 FOR UPDATE",
};

const RAISE: &str = "\
UPDATE definitions_revision
   SET revision = revision + 1
 WHERE one = 1";

const INSERT: &str = "\
INSERT INTO definitions
       (id, kind, workspace_id, name, source, enabled, spec, agent, endpoint, slug, webhook_id,
        revision, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, $12)";

const UPDATE: &str = "\
UPDATE definitions
   SET name = $2, enabled = $3, overlay = $4, spec = $5, agent = $6, endpoint = $7, slug = $8,
       webhook_id = $9, revision = revision + 1, updated_at = $10
 WHERE id = $1";

const RELEASE_SLUG: &str = "\
UPDATE definitions
   SET slug = NULL
 WHERE id = $1";

// What belongs to it goes with it.
const DELETE: &str = "\
DELETE FROM definitions
 WHERE id = $1";

const FORGET_PATTERNS: &str = "\
DELETE FROM listeners
 WHERE definition_id = $1";

const LISTEN: &str = "\
INSERT INTO listeners (workspace_id, pattern, definition_id)
VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING";

/// A definition as it goes into its row.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) declared: Declared,
    /// The author's words, always in the same form.
    pub(super) spec: String,
}

impl Entry {
    pub(super) fn new(id: String, mut declared: Declared) -> Self {
        let spec = json::sorted(declared.spec).to_string();
        // Read back, so that a number is in the spelling that it will be read in from the store.
        declared.spec = serde_json::from_str(&spec).unwrap_or_default();
        Self { id, spec, declared }
    }

    pub(super) fn kind(&self) -> &'static str {
        self.declared.kind.as_str()
    }

    pub(super) fn workspace_id(&self) -> &str {
        self.declared.scope().workspace_id()
    }

    pub(super) fn name(&self) -> &str {
        self.declared.name()
    }

    fn is_enabled(&self) -> bool {
        self.declared.definition.is_enabled()
    }

    /// The agent that does its work.
    pub(super) fn agent(&self) -> Option<&str> {
        match &self.declared.definition {
            Definition::Trigger(trigger, _) => Some(trigger.agent.as_str()),
            Definition::Job(job) => Some(job.agent.as_str()),
            _ => None,
        }
    }

    /// The endpoint that it listens to and somebody else declares.
    pub(super) fn endpoint(&self) -> Option<&str> {
        match &self.declared.definition {
            Definition::Trigger(trigger, None) => trigger.endpoint.as_ref().map(|e| e.as_str()),
            _ => None,
        }
    }

    /// The slug that it answers at.
    pub(super) fn slug(&self) -> Option<&str> {
        match &self.declared.definition {
            Definition::Endpoint(endpoint) => Some(endpoint.slug.as_str()),
            Definition::Trigger(_, Some(endpoint)) => Some(endpoint.slug.as_str()),
            _ => None,
        }
    }

    /// The identifier of the endpoint that it declares for itself: the one that it had, if it had
    /// one.
    pub(super) fn webhook_id(&self, before: Option<&WebhookId>) -> Option<WebhookId> {
        match &self.declared.definition {
            Definition::Trigger(trigger, Some(_)) => {
                let new = || Trigger::own_endpoint_id(&trigger.scope, &trigger.id);
                Some(before.cloned().unwrap_or_else(new))
            }
            // It keeps it for when it declares one again.
            Definition::Trigger(..) => before.cloned(),
            _ => None,
        }
    }

    /// The path of one of its fields, for people.
    pub(super) fn path(&self, field: &str) -> String {
        format!("{}.{field}", self.declared.path)
    }

    /// What of the host's own life it is to be told of. It is told of it switched off, too: that
    /// it is off is part of the answer to why nothing happened.
    fn patterns(&self) -> Vec<String> {
        match &self.declared.definition {
            Definition::Trigger(trigger, _) => vec![trigger.event.to_string()],
            Definition::Hook(hook) => hook_patterns(hook),
            Definition::Observer(observer) if observer.watch == Watch::Runs => {
                vec!["observe:run".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

fn hook_patterns(hook: &Hook) -> Vec<String> {
    let pattern = |point: &Point| {
        let way = if point.is_pre_fire() { "pre" } else { "notice" };
        format!("{way}:{point}")
    };
    hook.points.iter().map(pattern).collect()
}

/// Keeps everybody else from changing definitions until the transaction ends.
pub(super) async fn lock(tx: &mut Tx<'_>) -> Result<(), WriteError> {
    tx.row(LOCK, &[]).await?;
    Ok(())
}

/// Has every replica notice.
pub(super) async fn raise(tx: &mut Tx<'_>) -> Result<(), WriteError> {
    tx.execute(RAISE, &[]).await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut Tx<'_>,
    entry: &Entry,
    source: DefinitionSource,
    webhook_id: Option<&WebhookId>,
    now: Time,
) -> Result<(), WriteError> {
    let binds = binds![
        entry.id.as_str(),
        entry.kind(),
        entry.workspace_id(),
        entry.name(),
        source.as_str(),
        entry.is_enabled(),
        entry.spec.as_str(),
        entry.agent(),
        entry.endpoint(),
        entry.slug(),
        entry.webhook_id(webhook_id).as_ref().map(WebhookId::as_str),
        now,
    ];
    tx.execute(INSERT, &binds).await?;
    listen(tx, entry).await?;
    schedule(tx, entry, entry.is_enabled(), now, now).await
}

/// What was there already of a definition that changes.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) overlay: Option<bool>,
    pub(super) webhook_id: Option<WebhookId>,
    pub(super) created_at: Time,
}

pub(super) async fn update(
    tx: &mut Tx<'_>,
    entry: &Entry,
    before: Before,
    now: Time,
) -> Result<(), WriteError> {
    let binds = binds![
        entry.id.as_str(),
        entry.name(),
        entry.is_enabled(),
        before.overlay.map(i64::from),
        entry.spec.as_str(),
        entry.agent(),
        entry.endpoint(),
        entry.slug(),
        entry.webhook_id(before.webhook_id.as_ref()).as_ref().map(WebhookId::as_str),
        now,
    ];
    tx.execute(UPDATE, &binds).await?;
    tx.execute(FORGET_PATTERNS, &binds![entry.id.as_str()]).await?;
    listen(tx, entry).await?;
    let enabled = before.overlay.unwrap_or(entry.is_enabled());
    schedule(tx, entry, enabled, before.created_at, now).await
}

/// Lets go of a slug that another is about to take.
pub(super) async fn release_slug(tx: &mut Tx<'_>, id: &str) -> Result<(), WriteError> {
    tx.execute(RELEASE_SLUG, &binds![id]).await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), WriteError> {
    tx.execute(DELETE, &binds![id]).await?;
    Ok(())
}

async fn listen(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), WriteError> {
    for pattern in entry.patterns() {
        let binds = binds![entry.workspace_id(), pattern, entry.id.as_str()];
        tx.execute(LISTEN, &binds).await?;
    }
    Ok(())
}

pub(super) async fn schedule(
    tx: &mut Tx<'_>,
    entry: &Entry,
    enabled: bool,
    created_at: Time,
    now: Time,
) -> Result<(), WriteError> {
    let Definition::Job(job) = &entry.declared.definition else { return Ok(()) };
    let job = Job { enabled, ..job.clone() };
    schedules::follow(tx, &job, created_at, now).await
}
