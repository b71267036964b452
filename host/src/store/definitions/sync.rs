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
use crate::model::time::Time;
use crate::store::audit::Deed;
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
    /// Definitions made elsewhere that name an agent or an endpoint which is declared no more.
    pub bereft: Vec<Dependant>,
}

/// Makes the store hold what configuration declares, and nothing else of configuration's: what the
/// API or a package has made stays as it is, and so do overlays.
///
/// # Errors
/// When the store fails. When a name or a slug is taken by what is not configuration's, nothing is
/// changed, and all such problems are the answer.
pub async fn sync(
    store: &Store,
    declared: Vec<Declared>,
    now: Time,
) -> Result<Result<Synced, Problems>, StoreError> {
    store.write(Sync::of(store, declared, now, false)).await
}

/// The same, because somebody has asked for it: the audit tells of them, too.
///
/// # Errors
/// As [`sync`].
pub async fn reload(
    store: &Store,
    declared: Vec<Declared>,
    now: Time,
) -> Result<Result<Synced, Problems>, StoreError> {
    store.write(Sync::of(store, declared, now, true)).await
}

struct Sync {
    entries: Vec<Entry>,
    now: Time,
    author: Arc<Author>,
    asked: bool,
}

impl Write for Sync {
    type Output = Result<Synced, Problems>;
    const DOING: &'static str = "bring the configured definitions into the store";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        row::lock(tx).await?;
        let known = declared_before(tx).await?;
        let changed: Vec<&Entry> = self.entries.iter().filter(|e| differs(e, &known)).collect();
        let problems = conflicts(tx, &changed).await?;
        if !problems.is_empty() {
            return Ok(Err(problems));
        }
        let gone = self.gone(&known);
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
                    row::insert(tx, entry, DefinitionSource::Config, self.now).await?;
                    self.tell(tx, "definition.create", None, Some(entry)).await?;
                    counts.created += 1;
                }
                Some(stored) => {
                    let Stored { overlay, created_at, .. } = stored;
                    let before = Before { overlay: *overlay, created_at: *created_at };
                    row::update(tx, entry, before, self.now).await?;
                    self.tell(tx, "definition.update", Some(stored), Some(entry)).await?;
                    counts.updated += 1;
                }
            }
        }
        if self.asked {
            let deed = Deed::new("config.reload", "config", "", self.now).with(json!(counts));
            deed.record(tx, &self.author).await?;
        }
        if counts.created + counts.updated + counts.deleted > 0 {
            row::raise(tx).await?;
        }
        Ok(Ok(Synced { counts, bereft: bereft(tx, &gone).await? }))
    }
}

impl Sync {
    fn of(store: &Store, declared: Vec<Declared>, now: Time, asked: bool) -> Self {
        let entries = declared.into_iter().map(|one| Entry::new(one.id(), one)).collect();
        Self { entries, now, author: store.author(), asked }
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
        let deed = meant.deed(action, self.now).by(Actor::Config);
        let (before, after) = (before.map(Stored::digest), after.as_ref().map(Stored::digest));
        deed.turned(before, after).record(tx, &self.author).await
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

/// Names and slugs that somebody else has.
async fn conflicts(tx: &mut Tx<'_>, changed: &[&Entry]) -> Result<Problems, WriteError> {
    let mut problems = Problems::default();
    for entry in changed {
        for taken in taken(tx, entry).await? {
            if taken.by.source != DefinitionSource::Config {
                problems.add(entry.path(taken.field), taken);
            }
        }
    }
    Ok(problems)
}

async fn bereft(tx: &mut Tx<'_>, gone: &[&Stored]) -> Result<Vec<Dependant>, WriteError> {
    let mut bereft = Vec::new();
    for Stored { kind, scope, name, .. } in gone {
        bereft.extend(match kind {
            DefinitionKind::Agent => dependants_on_agent(tx, scope, name).await?,
            DefinitionKind::Endpoint => dependants_on_endpoint(tx, scope, name).await?,
            _ => Vec::new(),
        });
    }
    Ok(bereft)
}
