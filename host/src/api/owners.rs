//! Whose runs are asked for.
//!
//! A run keeps its owner's identifier, which stays; names pass from one definition to another. So a
//! name stands for the definition that has it now, and the answer says which that is; what is gone
//! is found by its identifier.

use serde::Serialize;

use super::json::optional;
use super::problem::Problem;
use crate::model::definition::DefinitionKind;
use crate::model::id::{JobId, TaskId, TriggerId};
use crate::model::name::Name;
use crate::model::run::{OwnerKind, RunStatus};
use crate::model::scope::{Reach, Scope};
use crate::model::time::Time;
use crate::store::{Store, definitions};

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

/// Whose runs these parameters ask for.
///
/// # Errors
/// When more than one of them is given, or a name is nobody's.
pub(super) async fn read(
    store: &Store,
    reach: &Reach,
    wishes: [(OwnerKind, &str, Option<&str>); 3],
    owner: Option<&str>,
) -> Result<Owned, Problem> {
    let given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let mut wished = wishes.into_iter().filter(|(_, _, text)| given(*text));
    let (first, second) = (wished.next(), wished.next());
    let others = second.map(|(_, name, _)| name).or(given(owner).then_some("owner"));
    match (first, others) {
        (None, _) => by_id(owner),
        (Some((_, first, _)), Some(other)) => {
            let reason = format!("stands beside {first}: a run has one of them");
            Err(Problem::parameter(other, reason))
        }
        (Some((kind, name, text)), None) => {
            owned(store, reach, kind, name, text.unwrap_or_default()).await
        }
    }
}

fn by_id(owner: Option<&str>) -> Result<Owned, Problem> {
    let Some(id) = owner.filter(|id| !id.is_empty()) else { return Ok(Owned::default()) };
    let kinds = [OwnerKind::Trigger, OwnerKind::Job, OwnerKind::Task];
    let kind = kinds.into_iter().find(|kind| is_id(*kind, id)).ok_or_else(|| {
        Problem::parameter("owner", "is not the identifier of a trigger, a job or a task")
    })?;
    Ok(Owned { kind: Some(kind), id: Some(id.to_owned()), ..Owned::default() })
}

fn is_id(kind: OwnerKind, text: &str) -> bool {
    match kind {
        OwnerKind::Trigger => text.parse::<TriggerId>().is_ok(),
        OwnerKind::Job => text.parse::<JobId>().is_ok(),
        OwnerKind::Task => text.parse::<TaskId>().is_ok(),
    }
}

async fn owned(
    store: &Store,
    reach: &Reach,
    kind: OwnerKind,
    parameter: &str,
    text: &str,
) -> Result<Owned, Problem> {
    if is_id(kind, text) {
        return Ok(Owned { kind: Some(kind), id: Some(text.to_owned()), ..Owned::default() });
    }
    let of_kind = match kind {
        OwnerKind::Trigger => DefinitionKind::Trigger,
        OwnerKind::Job => DefinitionKind::Job,
        OwnerKind::Task => {
            return Err(Problem::parameter(parameter, "is not a task's identifier"));
        }
    };
    let Reach::One(scope) = reach else {
        let reason = "is not an identifier: a name is one workspace's own";
        return Err(Problem::parameter(parameter, reason));
    };
    let name: Name = optional(parameter, Some(text))?.ok_or_else(|| Problem::not_found("name"))?;
    let Some(stored) = definitions::find(store, of_kind, scope, name.as_str()).await? else {
        return Ok(nobodys(kind, scope, &name));
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

/// Between which instants.
///
/// # Errors
/// When one is none, or they are the wrong way round.
pub(super) fn span(
    since: Option<&str>,
    until: Option<&str>,
) -> Result<(Option<Time>, Option<Time>), Problem> {
    let (since, until) = (optional::<Time>("since", since)?, optional::<Time>("until", until)?);
    if since.zip(until).is_some_and(|(since, until)| until < since) {
        return Err(Problem::parameter("until", "lies before since"));
    }
    Ok((since, until))
}

/// What is to be left out.
///
/// # Errors
/// When a word is no status, kind of owner or identifier of one.
pub(super) fn exclude(text: Option<&str>) -> Result<Vec<String>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let words: Vec<&str> = text.split(',').collect();
    if words.len() > EXCLUDED_MAX {
        let reason = format!("has {} words, more than {EXCLUDED_MAX}", words.len());
        return Err(Problem::parameter("exclude", reason));
    }
    let word = |word: &str| {
        let word = word.trim();
        let known = word.parse::<RunStatus>().is_ok()
            || word.parse::<OwnerKind>().is_ok()
            || by_id(Some(word)).is_ok_and(|owned| owned.id.is_some());
        known.then(|| word.to_owned()).ok_or_else(|| {
            let reason = format!(
                "`{word}` is not a run status, one of trigger, job and task, or the identifier of \
                 such a one"
            );
            Problem::parameter("exclude", reason)
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
        let words = exclude(Some(&text)).unwrap();
        assert_eq!(words, ["completed".to_owned(), "task".to_owned(), job.to_string()]);
        assert!(exclude(None).unwrap().is_empty());
        for wrong in ["done", "completed,", "nightly", "run_00000000000000000000000000000002"] {
            assert!(exclude(Some(wrong)).is_err(), "{wrong}");
        }
        assert!(exclude(Some(&"task,".repeat(40))).is_err());
    }

    #[test]
    fn a_span_has_its_beginning_first() {
        let (early, late) = (Some("2026-01-01T00:00:00Z"), Some("2026-01-02T00:00:00Z"));
        assert!(span(early, late).is_ok() && span(None, early).is_ok());
        assert!(span(late, early).is_err() && span(Some("yesterday"), None).is_err());
    }
}
