//! Changes of single definitions: by the API, and by those who come in its way.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::row::{self, Before, Entry};
use super::{Stored, read, select_definitions};
use crate::config::definitions::Declared;
use crate::model::audit::Author;
use crate::model::definition::{DefinitionKind, DefinitionSource};
use crate::model::problem::{Problem, Problems};
use crate::model::run::OwnerKind;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::sql::{Reader, Row, Tx, binds};
use crate::store::write::{Write, WriteError};
use crate::store::{Store, StoreError};

/// How many dependants are told of.
const DEPENDANTS_MAX: u32 = 20;

const SELECT_BY_ID: &str = select_definitions!(
    " WHERE id = $1
   AND workspace_id = $2"
);

const SELECT_BY_NAME: &str = select_definitions!(
    " WHERE workspace_id = $1
   AND kind = $2
   AND name = $3
   AND id <> $4"
);

const SELECT_BY_SLUG: &str = select_definitions!(
    " WHERE workspace_id = $1
   AND slug = $2
   AND id <> $3"
);

// One that earlier versions made of a slug, and whose slug has changed since.
const SELECT_BY_WEBHOOK: &str = select_definitions!(
    " WHERE webhook_id = $1
   AND id <> $2"
);

const SELECT_ENDPOINT: &str = "\
SELECT id, kind
  FROM definitions
 WHERE workspace_id = $1
   AND slug = $2";

const SELECT_AGENT: &str = "\
SELECT id
  FROM definitions
 WHERE workspace_id = $1
   AND kind = 'agent'
   AND name = $2";

const SELECT_DEPENDANTS_ON_AGENT: &str = "\
SELECT id, kind, name
  FROM definitions
 WHERE workspace_id = $1
   AND agent = $2
   AND (source <> 'config' OR $4 = 0)
 ORDER BY kind, name
 LIMIT $3";

const SELECT_DEPENDANTS_ON_ENDPOINT: &str = "\
SELECT id, kind, name
  FROM definitions
 WHERE workspace_id = $1
   AND kind = 'trigger'
   AND endpoint = $2
   AND (source <> 'config' OR $4 = 0)
 ORDER BY kind, name
 LIMIT $3";

// A task that is under way is told more; a run that is may be over before anybody minds.
const SELECT_WORK_OF_AGENT: &str = "\
SELECT id, owner_kind, owner_id
  FROM runs
 WHERE agent = $2
   AND workspace_id = $1
   AND (status = 'scheduled' OR (status = 'running' AND owner_kind = 'task'))
 ORDER BY seq
 LIMIT $3";

const OVERLAY: &str = "\
UPDATE definitions
   SET overlay = $2, revision = revision + 1, updated_at = $3
 WHERE id = $1";

/// What names a definition: another, or a task or a run that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependant {
    /// What it is: a kind of definition, `task` or `run`.
    pub kind: &'static str,
    /// What it is called, or its identifier.
    pub name: String,
}

impl fmt::Display for Dependant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// Why a definition was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none.
    Missing,
    /// It belongs to configuration or to a package.
    ReadOnly(DefinitionSource),
    /// It has changed since; this is its revision now.
    Stale(i64),
    /// Its name or its slug is another's.
    Taken(Problems),
    /// It names what does not exist.
    Unresolved(Problems),
    /// Others name it.
    InUse(Vec<Dependant>),
}

/// A name or a slug that is another's.
pub(super) struct Taken {
    pub(super) field: &'static str,
    pub(super) by: Stored,
    /// Whether it is the identifier that is made of the slug, and not the slug itself: that stays
    /// with who had it first.
    pub(super) stays: bool,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stored { kind, name, source, .. } = &self.by;
        write!(f, "is taken by the {kind} `{name}`, which is ")?;
        f.write_str(match source {
            DefinitionSource::Config => "configured",
            DefinitionSource::Package => "a package's",
            DefinitionSource::Dynamic => "made through the API",
        })
    }
}

/// Which definition is to be changed, and how it was seen last.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub scope: Scope,
    /// The revision that the change is based on.
    pub revision: i64,
    /// When.
    pub now: Time,
}

/// Makes a definition of the API's.
///
/// # Errors
/// When the store fails.
pub async fn create(
    store: &Store,
    id: String,
    declared: Declared,
    now: Time,
) -> Result<Result<Stored, Refusal>, StoreError> {
    store.write(Create { entry: Entry::new(id, declared), now, author: store.author() }).await
}

/// Has a definition of the API's say something else.
///
/// # Errors
/// When the store fails.
pub async fn update(
    store: &Store,
    change: Change,
    declared: Declared,
) -> Result<Result<Stored, Refusal>, StoreError> {
    let entry = Entry::new(change.id.clone(), declared);
    store.write(Update { change, entry, author: store.author() }).await
}

/// Removes a definition of the API's, with its overlay, its schedule and what it remembers.
///
/// # Errors
/// When the store fails.
pub async fn delete(store: &Store, change: Change) -> Result<Result<(), Refusal>, StoreError> {
    store.write(Delete { change, author: store.author() }).await
}

/// Switches a definition on or off: one of the API's by its own word, any other by an overlay,
/// which is gone when it says what the definition says itself.
///
/// # Errors
/// When the store fails.
pub async fn set_enabled(
    store: &Store,
    change: Change,
    enabled: bool,
) -> Result<Result<Stored, Refusal>, StoreError> {
    store.write(Switch { change, enabled, author: store.author() }).await
}

struct Create {
    entry: Entry,
    now: Time,
    author: Arc<Author>,
}

impl Write for Create {
    type Output = Result<Stored, Refusal>;
    const NAME: &'static str = "create_definition";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        if let Some(refusal) = refused(tx, &self.entry).await? {
            return Ok(Err(refusal));
        }
        row::insert(tx, &self.entry, DefinitionSource::Dynamic, None, self.now).await?;
        row::raise(tx).await?;
        let made = written(tx, &self.entry.id, self.entry.declared.scope()).await?;
        if let Ok(made) = &made {
            let entry = made.audit_entry("definition.create", self.now);
            entry.turned(None, Some(made.digest())).record(tx, &self.author).await?;
        }
        Ok(made)
    }
}

struct Update {
    change: Change,
    entry: Entry,
    author: Arc<Author>,
}

impl Write for Update {
    type Output = Result<Stored, Refusal>;
    const NAME: &'static str = "update_definition";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        let before = match changeable(tx, &self.change).await? {
            Ok(before) => before,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if before.name != self.entry.name()
            && let Some(refusal) = in_use(tx, &before).await?
        {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = refused(tx, &self.entry).await? {
            return Ok(Err(refusal));
        }
        let kept = Before {
            overlay: before.overlay,
            webhook_id: before.own_webhook(),
            created_at: before.created_at,
        };
        row::update(tx, &self.entry, kept, self.change.now).await?;
        row::raise(tx).await?;
        let after = written(tx, &self.change.id, &self.change.scope).await?;
        changed(tx, "definition.update", &before, &after, self.change.now, &self.author).await?;
        Ok(after)
    }
}

struct Delete {
    change: Change,
    author: Arc<Author>,
}

impl Write for Delete {
    type Output = Result<(), Refusal>;
    const NAME: &'static str = "delete_definition";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        let before = match changeable(tx, &self.change).await? {
            Ok(before) => before,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(refusal) = in_use(tx, &before).await? {
            return Ok(Err(refusal));
        }
        row::remove(tx, &before.id).await?;
        row::raise(tx).await?;
        let entry = before.audit_entry("definition.delete", self.change.now);
        entry.turned(Some(before.digest()), None).record(tx, &self.author).await?;
        Ok(Ok(()))
    }
}

struct Switch {
    change: Change,
    enabled: bool,
    author: Arc<Author>,
}

impl Write for Switch {
    type Output = Result<Stored, Refusal>;
    const NAME: &'static str = "switch_definition";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        let before = match present(tx, &self.change).await? {
            Ok(before) => before,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let overlay = (self.enabled != before.own_enabled).then_some(self.enabled);
        if before.overlay == overlay {
            return Ok(Ok(before));
        }
        if before.source == DefinitionSource::Dynamic {
            let entry = switched(&before, Some(self.enabled))?;
            let kept = Before {
                overlay: None,
                webhook_id: before.own_webhook(),
                created_at: before.created_at,
            };
            row::update(tx, &entry, kept, self.change.now).await?;
        } else {
            let binds = binds![before.id.as_str(), overlay.map(i64::from), self.change.now];
            tx.execute(OVERLAY, &binds).await?;
            let entry = switched(&before, None)?;
            row::schedule(tx, &entry, self.enabled, before.created_at, self.change.now).await?;
        }
        row::raise(tx).await?;
        let after = written(tx, &before.id, &before.scope).await?;
        let action = if self.enabled { "definition.enable" } else { "definition.disable" };
        changed(tx, action, &before, &after, self.change.now, &self.author).await?;
        Ok(after)
    }
}

/// Tells the audit of a definition that says something else than before.
async fn changed(
    tx: &mut Tx<'_>,
    action: &'static str,
    before: &Stored,
    after: &Result<Stored, Refusal>,
    at: Time,
    author: &Author,
) -> Result<(), WriteError> {
    let Ok(after) = after else { return Ok(()) };
    let entry = after.audit_entry(action, at).turned(Some(before.digest()), Some(after.digest()));
    entry.record(tx, author).await
}

/// The definition as it is, or with another word of its own on whether it is switched on.
fn switched(before: &Stored, own: Option<bool>) -> Result<Entry, StoreError> {
    let mut stored = Stored { overlay: None, ..before.clone() };
    if let (Some(enabled), Value::Object(spec)) = (own, &mut stored.spec) {
        spec.insert("enabled".to_owned(), enabled.into());
        stored.own_enabled = enabled;
    }
    // Nothing that is kept of it is a path.
    let definition = stored.definition(Path::new("")).map_err(|problems| StoreError::Row {
        table: "definitions",
        column: "spec",
        id: before.id.clone(),
        reason: problems.to_string(),
    })?;
    let path = before.kind.as_str().to_owned();
    let declared = Declared { path, kind: before.kind, spec: stored.spec, definition };
    Ok(Entry::new(before.id.clone(), declared))
}

/// The definition, if it is as it was seen.
async fn present(tx: &mut Tx<'_>, change: &Change) -> Result<Result<Stored, Refusal>, WriteError> {
    let row =
        tx.row(SELECT_BY_ID, &binds![change.id.as_str(), change.scope.workspace_id()]).await?;
    let Some(row) = row else { return Ok(Err(Refusal::Missing)) };
    let stored = read(&row)?;
    if stored.revision != change.revision {
        return Ok(Err(Refusal::Stale(stored.revision)));
    }
    Ok(Ok(stored))
}

/// The same, if it may be changed in more than whether it is switched on.
async fn changeable(
    tx: &mut Tx<'_>,
    change: &Change,
) -> Result<Result<Stored, Refusal>, WriteError> {
    Ok(present(tx, change).await?.and_then(|stored| match stored.source {
        DefinitionSource::Dynamic => Ok(stored),
        source => Err(Refusal::ReadOnly(source)),
    }))
}

pub(super) async fn written(
    tx: &mut Tx<'_>,
    id: &str,
    scope: &Scope,
) -> Result<Result<Stored, Refusal>, WriteError> {
    let row = tx.row(SELECT_BY_ID, &binds![id, scope.workspace_id()]).await?;
    Ok(row.as_ref().map(read).transpose()?.ok_or(Refusal::Missing))
}

/// Why others keep the definition from being written.
async fn refused(tx: &mut Tx<'_>, entry: &Entry) -> Result<Option<Refusal>, WriteError> {
    let mut problems = Problems::default();
    for taken in taken(tx, entry).await? {
        problems.add(entry.path(taken.field), taken);
    }
    if !problems.is_empty() {
        return Ok(Some(Refusal::Taken(problems)));
    }
    let problems = unresolved(tx, entry).await?;
    Ok((!problems.is_empty()).then_some(Refusal::Unresolved(problems)))
}

/// What of its name and its slug is another's.
pub(super) async fn taken(tx: &mut Tx<'_>, entry: &Entry) -> Result<Vec<Taken>, WriteError> {
    let mut found = Vec::new();
    let is_endpoint = entry.declared.kind == DefinitionKind::Endpoint;
    // An endpoint's name is its slug.
    if !is_endpoint {
        let binds = binds![entry.workspace_id(), entry.kind(), entry.name(), entry.id.as_str()];
        let row = tx.row(SELECT_BY_NAME, &binds).await?;
        found.extend(row.as_ref().map(|row| taken_by("name", row)).transpose()?);
    }
    if let Some(slug) = entry.slug() {
        let field = if is_endpoint { "slug" } else { "endpoint_slug" };
        let binds = binds![entry.workspace_id(), slug, entry.id.as_str()];
        let row = tx.row(SELECT_BY_SLUG, &binds).await?;
        found.extend(row.as_ref().map(|row| taken_by(field, row)).transpose()?);
        // A configured endpoint's identifier is made of its slug.
        let row = tx.row(SELECT_BY_WEBHOOK, &binds![entry.id.as_str(), entry.id.as_str()]).await?;
        let taken = row.as_ref().map(|row| taken_by(field, row)).transpose()?;
        found.extend(taken.map(|taken| Taken { stays: true, ..taken }));
    }
    Ok(found)
}

fn taken_by(field: &'static str, row: &Row) -> Result<Taken, StoreError> {
    Ok(Taken { field, by: read(row)?, stays: false })
}

/// What it names and is not there, or not any more.
async fn unresolved(tx: &mut Tx<'_>, entry: &Entry) -> Result<Problems, WriteError> {
    let mut problems = Problems::default();
    let scope = entry.declared.scope();
    if let Some(agent) = entry.agent() {
        let row = tx.row(SELECT_AGENT, &binds![scope.workspace_id(), agent]).await?;
        if row.is_none() {
            problems.add(entry.path("agent"), format!("there is no agent `{agent}` ({scope})"));
        }
    }
    if let Some(endpoint) = entry.endpoint() {
        let row = tx.row(SELECT_ENDPOINT, &binds![scope.workspace_id(), endpoint]).await?;
        let kind = row.map(|row| Reader::new("definitions", &row).text("kind")).transpose()?;
        if kind != Some(DefinitionKind::Endpoint) {
            let reason = format!("there is no endpoint `{endpoint}` ({scope})");
            problems.add(entry.path("endpoint"), reason);
        }
    }
    Ok(problems)
}

/// Who would be left without it.
async fn in_use(tx: &mut Tx<'_>, stored: &Stored) -> Result<Option<Refusal>, WriteError> {
    let dependants = match stored.kind {
        DefinitionKind::Agent => {
            dependants_on_agent(tx, &stored.scope, &stored.name, false).await?
        }
        DefinitionKind::Endpoint => {
            dependants_on_endpoint(tx, &stored.scope, &stored.name, false).await?
        }
        _ => Vec::new(),
    };
    Ok((!dependants.is_empty()).then_some(Refusal::InUse(dependants)))
}

/// Who names an agent: definitions, if so only those that are not configured, and what has not
/// ended.
pub(super) async fn dependants_on_agent(
    tx: &mut Tx<'_>,
    scope: &Scope,
    agent: &str,
    made_elsewhere: bool,
) -> Result<Vec<Dependant>, WriteError> {
    let (workspace, only) = (scope.workspace_id(), i64::from(made_elsewhere));
    let binds = binds![workspace, agent, DEPENDANTS_MAX, only];
    let mut named = dependants(&tx.rows(SELECT_DEPENDANTS_ON_AGENT, &binds).await?)?;
    for row in &tx.rows(SELECT_WORK_OF_AGENT, &binds[..3]).await? {
        let work = work(row)?;
        if !named.contains(&work) {
            named.push(work);
        }
    }
    Ok(named)
}

fn work(row: &Row) -> Result<Dependant, StoreError> {
    let r = Reader::new("runs", row);
    Ok(match r.text("owner_kind")? {
        OwnerKind::Task => Dependant { kind: "task", name: r.get("owner_id")? },
        OwnerKind::Trigger | OwnerKind::Job => Dependant { kind: "run", name: r.get("id")? },
    })
}

pub(super) async fn dependants_on_endpoint(
    tx: &mut Tx<'_>,
    scope: &Scope,
    slug: &str,
    made_elsewhere: bool,
) -> Result<Vec<Dependant>, WriteError> {
    let only = i64::from(made_elsewhere);
    let binds = binds![scope.workspace_id(), slug, DEPENDANTS_MAX, only];
    dependants(&tx.rows(SELECT_DEPENDANTS_ON_ENDPOINT, &binds).await?)
}

fn dependants(rows: &[Row]) -> Result<Vec<Dependant>, WriteError> {
    let read = |row| {
        let r = Reader::new("definitions", row);
        let kind: DefinitionKind = r.text("kind")?;
        Ok(Dependant { kind: kind.as_str(), name: r.get("name")? })
    };
    Ok(rows.iter().map(read).collect::<Result<_, StoreError>>()?)
}

impl Refusal {
    /// The problems of one that has any.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let problems = match self {
            Self::Taken(problems) | Self::Unresolved(problems) => Some(problems),
            _ => None,
        };
        problems.into_iter().flat_map(Problems::iter)
    }
}
