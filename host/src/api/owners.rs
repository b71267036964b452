//! Whose runs are asked for.
//!
//! A run keeps its owner's identifier, which stays; names pass from one definition to another. So a
//! name stands for the definition that has it now, and the answer says which that is; what is gone
//! is found by its identifier.

use serde::Serialize;

use super::parameters::Given;
use crate::model::definition::DefinitionKind;
use crate::model::id::{JobId, TaskId, TriggerId};
use crate::model::name::{InvalidName, Name};
use crate::model::run::{OwnerKind, RunStatus};
use crate::model::scope::{Reach, Scope};
use crate::store::{Store, StoreError, definitions};

/// How many words an exclusion may have.
const EXCLUDED_MAX: usize = 32;

/// Whose runs.
#[derive(Debug, Default)]
pub(super) struct Owned {
    pub(super) kind: Option<OwnerKind>,
    pub(super) id: Option<String>,
    /// What a name stood for.
    pub(super) meant: Option<Meant>,
    /// That it stood for nothing.
    pub(super) note: Option<String>,
}

/// The definition that has a name now.
#[derive(Debug, Serialize)]
pub(super) struct Meant {
    kind: OwnerKind,
    id: String,
    name: String,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Wanted {
    Anybodys,
    Of(OwnerKind, String),
    Called(DefinitionKind, OwnerKind, Scope, Name),
}

/// Whose runs the parameters ask for.
pub(super) fn wanted(given: &mut Given, reach: &Reach) -> Wanted {
    let kinds =
        [(OwnerKind::Trigger, "trigger"), (OwnerKind::Job, "job"), (OwnerKind::Task, "task")];
    let mut wanted: Option<(&str, Wanted)> = None;
    for (kind, name) in kinds {
        let Some(text) = given.text(name) else { continue };
        match &wanted {
            Some((other, _)) => given.wrong(name, beside(other)),
            None => wanted = given.take(name, of(kind, &text, reach)).map(|of| (name, of)),
        }
    }
    let owner = given.parsed("owner", by_id);
    match (wanted, owner) {
        (None, owner) => owner.unwrap_or(Wanted::Anybodys),
        (Some((_, wanted)), None) => wanted,
        (Some((name, wanted)), Some(_)) => {
            given.wrong("owner", beside(name));
            wanted
        }
    }
}

fn beside(other: &str) -> String {
    format!("stands beside {other}: a run has one of them")
}

fn of(kind: OwnerKind, text: &str, reach: &Reach) -> Result<Wanted, String> {
    if is_id(kind, text) {
        return Ok(Wanted::Of(kind, text.to_owned()));
    }
    let definition = match kind {
        OwnerKind::Trigger => DefinitionKind::Trigger,
        OwnerKind::Job => DefinitionKind::Job,
        OwnerKind::Task => return Err("is not a task's identifier".to_owned()),
    };
    let Reach::One(scope) = reach else {
        return Err("is not an identifier: a name is one workspace's own".to_owned());
    };
    let name = text.parse().map_err(|error: InvalidName| error.to_string())?;
    Ok(Wanted::Called(definition, kind, scope.clone(), name))
}

fn by_id(id: &str) -> Result<Wanted, String> {
    let kinds = [OwnerKind::Trigger, OwnerKind::Job, OwnerKind::Task];
    match kinds.into_iter().find(|kind| is_id(*kind, id)) {
        Some(kind) => Ok(Wanted::Of(kind, id.to_owned())),
        None => Err("is not the identifier of a trigger, a job or a task".to_owned()),
    }
}

fn is_id(kind: OwnerKind, text: &str) -> bool {
    match kind {
        OwnerKind::Trigger => text.parse::<TriggerId>().is_ok(),
        OwnerKind::Job => text.parse::<JobId>().is_ok(),
        OwnerKind::Task => text.parse::<TaskId>().is_ok(),
    }
}

/// Who that is.
///
/// # Errors
/// When the store fails.
pub(super) async fn find(store: &Store, wanted: Wanted) -> Result<Owned, StoreError> {
    let (definition, kind, scope, name) = match wanted {
        Wanted::Anybodys => return Ok(Owned::default()),
        Wanted::Of(kind, id) => {
            return Ok(Owned { kind: Some(kind), id: Some(id), ..Owned::default() });
        }
        Wanted::Called(definition, kind, scope, name) => (definition, kind, scope, name),
    };
    let Some(stored) = definitions::find(store, definition, &scope, name.as_str()).await? else {
        return Ok(nobodys(kind, &scope, &name));
    };
    Ok(Owned {
        kind: Some(kind),
        id: Some(stored.id.clone()),
        meant: Some(Meant { kind, id: stored.id, name: stored.name }),
        note: None,
    })
}

/// What is asked for by a name that nobody has: there is nothing, and it is said why.
fn nobodys(kind: OwnerKind, scope: &Scope, name: &Name) -> Owned {
    let kind_word = kind.as_str();
    let note = format!(
        "no {kind_word} is called `{name}` now ({scope}): the runs of one that is gone, or has \
         another name, are found by its identifier"
    );
    Owned { kind: Some(kind), id: Some(String::new()), meant: None, note: Some(note) }
}

/// What is to be left out.
///
/// # Errors
/// When a word is no status, kind of owner or identifier of one.
pub(super) fn exclude(text: &str) -> Result<Vec<String>, String> {
    let words: Vec<&str> = text.split(',').collect();
    if words.len() > EXCLUDED_MAX {
        return Err(format!("has {} words, more than {EXCLUDED_MAX}", words.len()));
    }
    let word = |word: &str| {
        let word = word.trim();
        let known = word.parse::<RunStatus>().is_ok()
            || word.parse::<OwnerKind>().is_ok()
            || by_id(word).is_ok();
        known.then(|| word.to_owned()).ok_or_else(|| {
            format!(
                "`{word}` is not a run status, one of trigger, job and task, or the identifier of \
                 such a one"
            )
        })
    };
    words.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_a_status_a_kind_or_an_owner() {
        let job = JobId::derive(&Scope::Global, "nightly");
        let text = format!("completed, task,{job}");
        let words = exclude(&text).unwrap();
        assert_eq!(words, ["completed".to_owned(), "task".to_owned(), job.to_string()]);
        for wrong in ["done", "completed,", "nightly", "run_00000000000000000000000000000002"] {
            assert!(exclude(wrong).is_err(), "{wrong}");
        }
        assert!(exclude(&"task,".repeat(40)).is_err());
    }
}
