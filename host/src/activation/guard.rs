//! The loop guard: runs cause events, and events cause runs, but not for ever.

use std::collections::HashSet;

use crate::model::decision::Verdict;
use crate::model::definition::Trigger;
use crate::model::envelope::Event;
use crate::store::{Store, StoreError, runs};

/// The triggers and jobs whose runs led to an event, directly or through other runs, by their
/// identifiers.
pub(super) async fn ancestors(store: &Store, event: &Event) -> Result<HashSet<String>, StoreError> {
    if event.causes.is_empty() {
        return Ok(HashSet::new());
    }
    runs::owners(store, &event.scope, &event.causes).await
}

/// Refuses what lies too deep, and what a trigger has caused itself.
pub(super) fn check(
    trigger: &Trigger,
    event: &Event,
    ancestors: &HashSet<String>,
) -> Result<(), Verdict> {
    if event.depth >= Event::DEPTH_MAX {
        let (depth, most) = (event.depth, Event::DEPTH_MAX);
        let why =
            format!("{depth} runs led to the event, one after the other; {most} are too many");
        return Err(Verdict::LoopGuard(why));
    }
    if !trigger.allow_self && ancestors.contains(trigger.id.as_str()) {
        let why = "a run of the trigger's own led to the event, and allow_self is not set";
        return Err(Verdict::LoopGuard(why.to_owned()));
    }
    Ok(())
}
