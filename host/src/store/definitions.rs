//! Definitions: what configuration declares, what the API makes, what packages bring.
//!
//! ```text
//!   hillock.toml ─ sync ──┐                          ┌─ listeners   who is told of what
//!   API, CLI ──── change ─┼─► one row each, and with it ─ schedules   when a job is due
//!                         └─► definitions_revision ──► load, by every replica that sees it raised
//! ```
//! A row keeps its author's own words (`spec`); what they mean is parsed when it is read. Whether a
//! definition is in effect is its overlay's word if it has one, else its own. All changes wait for
//! one another, so that what they check still holds when they write.

mod change;
mod row;
mod sync;

use std::path::Path;

use serde_json::{Value, json};

use super::audit::AuditEntry;
use super::sql::{Reader, Row, Sql, binds};
use super::{Page, PageRequest, Store, StoreError, events};
use crate::config::definitions as specs;
use crate::model::audit::Digest;
use crate::model::definition::{
    Definition, DefinitionKind, DefinitionSource, Definitions, Trigger,
};
use crate::model::id::WebhookId;
use crate::model::name::{KindPattern, Name};
use crate::model::problem::Problems;
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;
pub use change::{Change, Dependant, Refusal, create, delete, set_enabled, update};
pub use sync::{Counts, LeftBehind, Synced, Unsynced, reload, sync};

/// A definition as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its identifier.
    pub id: String,
    /// What it is.
    pub kind: DefinitionKind,
    /// Whose it is.
    pub scope: Scope,
    /// What it is called: an endpoint by its slug.
    pub name: String,
    /// Where it comes from.
    pub source: DefinitionSource,
    /// Whether it is switched on by its own word.
    pub own_enabled: bool,
    /// What somebody has said over that.
    pub overlay: Option<bool>,
    /// Its author's own words.
    pub spec: Value,
    /// The identifier of the endpoint that a trigger declares for itself, once it is kept.
    pub webhook_id: Option<WebhookId>,
    /// How often it has changed, from 1.
    pub revision: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl Stored {
    /// Whether it is in effect.
    pub fn is_enabled(&self) -> bool {
        self.overlay.unwrap_or(self.own_enabled)
    }

    /// Of all that its author and whoever switches it on and off have said.
    fn digest(&self) -> Digest {
        let Self { kind, scope, name, source, own_enabled, overlay, spec, .. } = self;
        let source = source.as_str();
        Digest::of(&json!([kind, scope.workspace_id(), name, source, own_enabled, overlay, spec]))
    }

    /// What is done to it, as the audit has it.
    fn audit_entry(&self, action: &'static str, at: Time) -> AuditEntry<'_> {
        let entry = AuditEntry::new(action, self.kind.as_str(), self.scope.workspace_id(), at);
        entry.on(&self.id).named(&self.name)
    }

    /// What it means, switched on or off as it is in effect. Relative paths in it are below
    /// `folder`.
    ///
    /// # Errors
    /// When this version of Hillock does not understand it.
    pub fn definition(&self, folder: &Path) -> Result<Definition, Problems> {
        let (path, mut problems) = (self.kind.as_str(), Problems::default());
        let id = Some(self.id.as_str());
        let parsed = specs::parse(self.kind, path, &self.spec, id, folder, &mut problems);
        let mut definition = parsed.ok_or(problems)?;
        definition.set_enabled(self.is_enabled());
        if let Definition::Trigger(trigger, Some(own)) = &mut definition {
            // A row that keeps none is of a version that made it of the slug.
            let made = || Trigger::own_endpoint_id_of_slug(&trigger.scope, &own.slug);
            own.id = self.webhook_id.clone().unwrap_or_else(made);
        }
        Ok(definition)
    }

    /// The identifier of the endpoint that it declares for itself, if it is a trigger that does.
    fn own_webhook(&self) -> Option<WebhookId> {
        if self.kind != DefinitionKind::Trigger || self.webhook_id.is_some() {
            return self.webhook_id.clone();
        }
        match self.definition(Path::new("")) {
            Ok(Definition::Trigger(_, own)) => own.map(|endpoint| endpoint.id),
            _ => None,
        }
    }
}

/// Which definitions to list.
#[derive(Clone, Debug, Default)]
pub struct DefinitionFilter {
    /// From there only.
    pub source: Option<DefinitionSource>,
    /// Only those in effect, or not.
    pub enabled: Option<bool>,
    /// Only triggers and jobs of this agent.
    pub agent: Option<Name>,
    /// Only triggers that hear of this kind, or of some of the kinds below this prefix.
    pub event: Option<KindPattern>,
}

/// What is defined but for the jobs.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The definitions.
    pub definitions: Definitions,
    /// They are at least as new as this revision.
    pub revision: i64,
}

/// A query of definitions.
macro_rules! select_definitions {
    ($rest:expr) => {
        concat!(
            "\
SELECT seq, id, kind, workspace_id, name, source, enabled, overlay, spec, webhook_id, revision,
       created_at, updated_at
  FROM definitions
",
            $rest
        )
    };
}
use select_definitions;

const SELECT_REVISION: &str = "\
SELECT revision
  FROM definitions_revision
 WHERE one = 1";

// Jobs stay in the store until they are due.
const SELECT_ALL: &str = select_definitions!(
    " WHERE kind <> 'job'
 ORDER BY seq"
);

// A name may look like an identifier; the identifier goes first.
const SELECT_ONE: &str = select_definitions!(
    " WHERE kind = $1
   AND workspace_id = $2
   AND (id = $3 OR name = $3)
 ORDER BY CASE WHEN id = $3 THEN 0 ELSE 1 END
 LIMIT 1"
);

/// A page of them. An unused filter is bound as NULL; PostgreSQL has to be told the type of such a
/// bind.
macro_rules! select_page {
    ($scope:literal, $text:literal, $number:literal, $list:literal) => {
        select_definitions!(concat!(
            " WHERE kind = $1
   AND ",
            $scope,
            "
   AND seq < $3
   AND ($4",
            $text,
            " IS NULL OR source = $4)
   AND ($5",
            $number,
            " IS NULL OR COALESCE(overlay, enabled) = $5)
   AND ($6",
            $text,
            " IS NULL OR agent = $6)
   AND ($7",
            $text,
            " IS NULL
        OR id IN (SELECT l.definition_id
                    FROM listeners l
                   WHERE l.pattern IN ",
            $list,
            "
                      OR ($8",
            $text,
            " IS NOT NULL AND substr(l.pattern, 1, length($8)) = $8)))
 ORDER BY seq DESC
 LIMIT $9"
        ))
    };
    ($scope:literal) => {
        Sql {
            sqlite: select_page!($scope, "", "", "(SELECT value FROM json_each($7))"),
            postgres: select_page!(
                $scope,
                "::text",
                "::bigint",
                "(SELECT json_array_elements_text($7::json))"
            ),
        }
    };
}

const SELECT_PAGE: Sql = select_page!("workspace_id = $2");
const SELECT_PAGE_OF_ALL: Sql = select_page!("CAST($2 AS TEXT) IS NULL");

const SELECT_MADE_ELSEWHERE: &str = select_definitions!(
    " WHERE source <> 'config'
 ORDER BY seq"
);

// A trigger's own endpoint is no other's.
const SELECT_DANGLING: &str = "\
SELECT d.id, d.kind, d.name, d.workspace_id, 'agent' AS missing, d.agent AS named
  FROM definitions d
 WHERE d.agent IS NOT NULL
   AND NOT EXISTS (SELECT 1
                     FROM definitions a
                    WHERE a.workspace_id = d.workspace_id
                      AND a.kind = 'agent'
                      AND a.name = d.agent)
UNION ALL
SELECT d.id, d.kind, d.name, d.workspace_id, 'endpoint' AS missing, d.endpoint AS named
  FROM definitions d
 WHERE d.endpoint IS NOT NULL
   AND NOT EXISTS (SELECT 1
                     FROM definitions e
                    WHERE e.workspace_id = d.workspace_id
                      AND e.kind = 'endpoint'
                      AND e.name = d.endpoint)
 LIMIT $1";

/// How often anything has changed.
///
/// # Errors
/// When the store fails.
pub async fn revision(store: &Store) -> Result<i64, StoreError> {
    let rows = store.read("read_definitions_revision", SELECT_REVISION, &[]).await?;
    let revision = rows.first().map(|row| Reader::new("definitions_revision", row).get("revision"));
    revision.unwrap_or(Ok(0))
}

/// Everything defined but the jobs, as it is in effect. What cannot be read is left out, and said
/// in the log: it is nobody else's trouble.
///
/// # Errors
/// When the store fails.
pub async fn load(store: &Store, folder: &Path) -> Result<Loaded, StoreError> {
    // The revision first: what changes in between is then loaded again.
    let revision = revision(store).await?;
    let mut definitions = Definitions::default();
    for row in store.read("load_definitions", SELECT_ALL, &[]).await? {
        match read(&row) {
            Ok(stored) => match stored.definition(folder) {
                Ok(definition) => definitions.add(definition),
                Err(problems) => {
                    tracing::error!(id = stored.id, %problems, "skipped an unreadable definition");
                }
            },
            Err(error) => tracing::error!(%error, "skipped an unreadable definition"),
        }
    }
    Ok(Loaded { definitions, revision })
}

/// What is not configured. What cannot be read is left out: it is said whenever it is loaded.
///
/// # Errors
/// When the store fails.
pub async fn made_elsewhere(store: &Store) -> Result<Vec<Stored>, StoreError> {
    let rows = store.read("read_dynamic_definitions", SELECT_MADE_ELSEWHERE, &[]).await?;
    Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
}

/// Definitions that name an agent or an endpoint which is not there; `max` of them at most.
///
/// # Errors
/// When the store fails.
pub async fn dangling(store: &Store, max: u32) -> Result<Vec<LeftBehind>, StoreError> {
    let rows = store.read("find_dangling_references", SELECT_DANGLING, &binds![max]).await?;
    let read = |row: &Row| {
        let r = Reader::new("definitions", row);
        let kind: DefinitionKind = r.text("kind")?;
        let missing: DefinitionKind = r.text("missing")?;
        let dependant = Dependant { kind: kind.as_str(), name: r.get("name")? };
        let names = Dependant { kind: missing.as_str(), name: r.get("named")? };
        Ok(LeftBehind::new(dependant, &events::read_scope(&r)?, names))
    };
    rows.iter().map(read).collect()
}

/// The definition with this identifier or name.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    kind: DefinitionKind,
    scope: &Scope,
    id_or_name: &str,
) -> Result<Option<Stored>, StoreError> {
    let binds = binds![kind.as_str(), scope.workspace_id(), id_or_name];
    let rows = store.read("read_definition", SELECT_ONE, &binds).await?;
    rows.first().map(read).transpose()
}

/// Definitions of a kind, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    kind: DefinitionKind,
    reach: impl Into<Reach>,
    filter: &DefinitionFilter,
    page: PageRequest,
) -> Result<Page<Stored>, StoreError> {
    let reach = reach.into();
    let patterns = |event: &KindPattern| {
        Value::from_iter(event.and_above().iter().map(ToString::to_string)).to_string()
    };
    let below = match &filter.event {
        Some(KindPattern::Below(prefix)) => Some(format!("{prefix}.")),
        Some(KindPattern::Exact(_)) | None => None,
    };
    let binds = binds![
        kind.as_str(),
        reach.workspace_id(),
        page.before(),
        filter.source.map(DefinitionSource::as_str),
        filter.enabled.map(i64::from),
        filter.agent.as_ref().map(Name::as_str),
        filter.event.as_ref().map(patterns),
        below,
        page.fetch(),
    ];
    let sql = reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL);
    let rows = store.read("list_definitions", sql, &binds).await?;
    Page::read("definitions", &rows, page, read)
}

/// The definition that a row holds.
pub(super) fn read(row: &Row) -> Result<Stored, StoreError> {
    let r = Reader::new("definitions", row);
    Ok(Stored {
        id: r.get("id")?,
        kind: r.text("kind")?,
        scope: events::read_scope(&r)?,
        name: r.get("name")?,
        source: r.text("source")?,
        own_enabled: r.flag("enabled")?,
        overlay: r.flag_if_any("overlay")?,
        spec: r.json("spec")?,
        webhook_id: r.text_if_any("webhook_id")?,
        revision: r.get("revision")?,
        created_at: r.time("created_at")?,
        updated_at: r.time("updated_at")?,
    })
}
