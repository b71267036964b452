//! Configuration and the store, brought into step.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::change::{Dependant, dependants_on_agent, dependants_on_endpoint, taken, written};
use super::row::{self, Before, Entry};
use super::{Stored, read, select_definitions};
use crate::config::definitions::Declared;
use crate::model::audit::{Actor, Author};
use crate::model::definition::{DefinitionKind, DefinitionSource};
use crate::model::problem::Problems;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::audit::AuditEntry;
use crate::store::sql::Tx;
use crate::store::write::{Write, WriteError};
use crate::store::{Store, StoreError};

const SELECT_DECLARED: &str = select_definitions!(" WHERE source = 'config'");

/// What bringing configuration into the store came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// New ones.
    pub created: usize,
    /// Those that say something else than before.
    pub updated: usize,
    /// Those that say the same.
    pub unchanged: usize,
    /// Those that are declared no more.
    pub deleted: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, updated, unchanged, deleted } = self;
        write!(f, "{created} created, {updated} updated, {unchanged} unchanged, {deleted} deleted")
    }
}

/// The counts, and who was left without what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// The counts.
    pub counts: Counts,
    /// Who names an agent or an endpoint which is declared no more.
    pub left_behind: Vec<LeftBehind>,
}

/// What names something that is there no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftBehind {
    /// What it is.
    #[serde(flatten)]
    pub dependant: Dependant,
    /// Where it belongs; nowhere when it is global.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<String>,
    /// What it names.
    pub names: Dependant,
}

impl LeftBehind {
    /// Of this scope.
    pub fn new(dependant: Dependant, scope: &Scope, names: Dependant) -> Self {
        let workspace = (*scope != Scope::Global).then(|| scope.workspace_id().to_owned());
        Self { dependant, workspace_id: workspace, names }
    }
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dependant, workspace_id, names } = self;
        write!(f, "the {dependant}")?;
        if let Some(workspace) = workspace_id {
            write!(f, " (workspace {workspace})")?;
        }
        write!(f, " names the {names}")
    }
}

/// Why a configuration was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// Names and slugs are somebody else's.
    Taken(Problems),
    /// These would be left without what they name.
    InUse(Vec<LeftBehind>),
}

/// Makes the store hold what configuration declares, and nothing else of configuration's: what the
/// API or a package has made stays as it is, and so do overlays. Whoever is left behind by that is
/// part of the answer.
///
/// # Errors
/// When the store fails. When a name or a slug is taken by what is not configuration's, nothing is
/// changed, and all such problems are the answer.
pub async fn sync(
    store: &Store,
    declared: Vec<Declared>,
    now: Time,
) -> Result<Result<Synced, Problems>, StoreError> {
    let sync = Sync { asked: false, force: true, ..Sync::of(store, declared, now) };
    Ok(store.write(sync).await?.map_err(|unsynced| match unsynced {
        Unsynced::Taken(problems) => problems,
        Unsynced::InUse(_) => Problems::default(),
    }))
}

/// The same, because somebody has asked for it: the audit tells of them, too. When somebody would be
/// left behind, nothing is changed, unless that is meant.
///
/// # Errors
/// As [`sync`].
pub async fn reload(
    store: &Store,
    declared: Vec<Declared>,
    force: bool,
    now: Time,
) -> Result<Result<Synced, Unsynced>, StoreError> {
    store.write(Sync { asked: true, force, ..Sync::of(store, declared, now) }).await
}

struct Sync {
    entries: Vec<Entry>,
    now: Time,
    author: Arc<Author>,
    asked: bool,
    /// Whether others may be left behind.
    force: bool,
}

impl Write for Sync {
    type Output = Result<Synced, Unsynced>;
    const NAME: &'static str = "sync_configured_definitions";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        let known = declared_before(tx).await?;
        let changed: Vec<&Entry> = self.entries.iter().filter(|e| differs(e, &known)).collect();
        let problems = conflicts(tx, &changed).await?;
        if !problems.is_empty() {
            return Ok(Err(Unsynced::Taken(problems)));
        }
        let gone = self.gone(&known);
        let left_behind = left_behind(tx, &gone).await?;
        if !self.force && !left_behind.is_empty() {
            return Ok(Err(Unsynced::InUse(left_behind)));
        }
        // Slugs are let go of before they are taken, so that two definitions may swap theirs.
        for stored in &gone {
            row::remove(tx, &stored.id).await?;
            self.tell(tx, "definition.delete", Some(stored), None).await?;
        }
        for entry in &changed {
            row::release_slug(tx, &entry.id).await?;
        }
        let mut counts = Counts {
            unchanged: self.entries.len() - changed.len(),
            deleted: gone.len(),
            ..Counts::default()
        };
        for entry in changed {
            match known.get(&entry.id) {
                None => {
                    // Under another name it still answers where it did.
                    let had = gone.iter().find(|stored| answers_at(stored, entry));
                    let had = had.and_then(|stored| stored.own_webhook());
                    row::insert(tx, entry, DefinitionSource::Config, had.as_ref(), self.now)
                        .await?;
                    self.tell(tx, "definition.create", None, Some(entry)).await?;
                    counts.created += 1;
                }
                Some(stored) => {
                    let before = Before {
                        overlay: stored.overlay,
                        webhook_id: stored.own_webhook(),
                        created_at: stored.created_at,
                    };
                    row::update(tx, entry, before, self.now).await?;
                    self.tell(tx, "definition.update", Some(stored), Some(entry)).await?;
                    counts.updated += 1;
                }
            }
        }
        if self.asked {
            let entry =
                AuditEntry::new("config.reload", "config", "", self.now).with(json!(counts));
            entry.record(tx, &self.author).await?;
        }
        if counts.created + counts.updated + counts.deleted > 0 {
            row::raise(tx).await?;
        }
        Ok(Ok(Synced { counts, left_behind }))
    }
}

impl Sync {
    fn of(store: &Store, declared: Vec<Declared>, now: Time) -> Self {
        let entries = declared.into_iter().map(|one| Entry::new(one.id(), one)).collect();
        Self { entries, now, author: store.author(), asked: false, force: false }
    }

    /// Tells the audit what the files have done to a definition.
    async fn tell(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        before: Option<&Stored>,
        entry: Option<&Entry>,
    ) -> Result<(), WriteError> {
        let after = match entry {
            Some(entry) => written(tx, &entry.id, entry.declared.scope()).await?.ok(),
            None => None,
        };
        let Some(meant) = after.as_ref().or(before) else { return Ok(()) };
        let entry = meant.audit_entry(action, self.now).by(Actor::Config);
        let (before, after) = (before.map(Stored::digest), after.as_ref().map(Stored::digest));
        entry.turned(before, after).record(tx, &self.author).await
    }

    fn gone<'k>(&self, known: &'k HashMap<String, Stored>) -> Vec<&'k Stored> {
        let declared: HashSet<&str> = self.entries.iter().map(|entry| entry.id.as_str()).collect();
        known.values().filter(|stored| !declared.contains(stored.id.as_str())).collect()
    }
}

async fn declared_before(tx: &mut Tx<'_>) -> Result<HashMap<String, Stored>, WriteError> {
    let rows = tx.rows(SELECT_DECLARED, &[]).await?;
    let read = |row| read(row).map(|stored| (stored.id.clone(), stored));
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

fn differs(entry: &Entry, known: &HashMap<String, Stored>) -> bool {
    known.get(&entry.id).is_none_or(|stored| stored.spec != entry.declared.spec)
}

/// Whether a trigger that is gone had the endpoint of its own that this one declares.
fn answers_at(gone: &Stored, entry: &Entry) -> bool {
    let own = |spec: &serde_json::Value| {
        spec.get("endpoint_slug").and_then(|slug| slug.as_str()).map(str::to_owned)
    };
    gone.kind == DefinitionKind::Trigger
        && gone.scope == *entry.declared.scope()
        && own(&gone.spec).is_some()
        && own(&gone.spec) == own(&entry.declared.spec)
}

/// Names and slugs that somebody else has.
async fn conflicts(tx: &mut Tx<'_>, changed: &[&Entry]) -> Result<Problems, WriteError> {
    let mut problems = Problems::default();
    for entry in changed {
        for taken in taken(tx, entry).await? {
            if taken.stays || taken.by.source != DefinitionSource::Config {
                problems.add(entry.path(taken.field), taken);
            }
        }
    }
    Ok(problems)
}

/// Who names what is declared no more. Of what is configured itself, nothing does: it is checked as
/// a whole.
async fn left_behind(tx: &mut Tx<'_>, gone: &[&Stored]) -> Result<Vec<LeftBehind>, WriteError> {
    let mut left_behind = Vec::new();
    for Stored { kind, scope, name, .. } in gone {
        let dependants = match kind {
            DefinitionKind::Agent => dependants_on_agent(tx, scope, name, true).await?,
            DefinitionKind::Endpoint => dependants_on_endpoint(tx, scope, name, true).await?,
            _ => Vec::new(),
        };
        let names = Dependant { kind: kind.as_str(), name: name.clone() };
        let left = |dependant| LeftBehind::new(dependant, scope, names.clone());
        left_behind.extend(dependants.into_iter().map(left));
    }
    Ok(left_behind)
}
