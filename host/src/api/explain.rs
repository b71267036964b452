//! The way of one event: how it came in, what each trigger made of it, and what became of that.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Api;
use super::events::{DecisionJson, SummaryJson};
use super::extract::Segment;
use super::json::InScope;
use super::parameters::Parameters;
use super::problem::Problem;
use crate::model::decision::Decision;
use crate::model::definition::{Definitions, Trigger};
use crate::model::envelope::{Event, Origin};
use crate::model::id::{EventId, TriggerId};
use crate::model::name::Name;
use crate::model::run::{Run, RunStatus};
use crate::model::time::Time;
use crate::store::{events, gatherings, runs};

#[derive(Debug, Serialize)]
pub(super) struct ExplanationJson {
    #[serde(flatten)]
    event: SummaryJson,
    occurred_at: Time,
    origin: Origin,
    depth: u32,
    causes: Vec<String>,
    /// How often it came again, and was recognised.
    repeats: u32,
    /// Why it goes no further at present, where it waits for anything but its turn.
    held_up_by: Option<String>,
    considered: Vec<ConsideredJson>,
    /// Triggers of the same scope, as they are defined now, that had no part in it.
    not_considered: Vec<NotConsideredJson>,
}

#[derive(Debug, Serialize)]
struct ConsideredJson {
    #[serde(flatten)]
    decision: DecisionJson,
    /// Until when it waits if nothing follows, while it is held.
    held_until: Option<Time>,
    run: Option<RunJson>,
}

#[derive(Debug, Serialize)]
struct RunJson {
    status: RunStatus,
    attempt: u32,
    error: Option<String>,
    due_at: Option<Time>,
    ended_at: Option<Time>,
}

#[derive(Debug, Serialize)]
struct NotConsideredJson {
    trigger: Name,
    trigger_id: TriggerId,
    reason: String,
}

pub(super) async fn explain(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<ExplanationJson>, Problem> {
    let missing = || Problem::not_found("event");
    let id: EventId = id.parse().map_err(|_| missing())?;
    let scope = scope.scope();
    let not_kept = || Problem::not_kept("event", id.minted_at(), api.clock.now());
    let (summary, event) = events::find(&api.store, &scope, &id).await?.ok_or_else(not_kept)?;
    let decisions = events::decisions(&api.store, &id).await?;
    let held = gatherings::holding(&api.store, &scope, &id).await?;
    let is_due = held.iter().any(|(_, until)| *until <= api.clock.now());
    let held_up_by = match summary.activated_at {
        Some(_) if !is_due => None,
        _ => api.activator.has_room(&scope).await?.err().map(|full| full.to_string()),
    };
    let is_activated = summary.activated_at.is_some();
    let not_considered = not_considered(&api.catalog.now(), &event, &decisions, is_activated);
    let event_json = SummaryJson::of(summary.clone(), &decisions);
    let mut considered = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let until = held.iter().find(|(trigger, _)| *trigger == decision.trigger_id);
        let run = match decision.verdict.run_id() {
            Some(run) => runs::find(&api.store, &scope, run).await?,
            None => None,
        };
        considered.push(ConsideredJson {
            decision: decision.into(),
            held_until: until.map(|(_, until)| *until),
            run: run.map(RunJson::from),
        });
    }
    let Event { occurred_at, origin, depth, causes, .. } = event;
    let repeats = summary.repeats;
    Ok(Json(ExplanationJson {
        event: event_json,
        occurred_at,
        origin,
        depth,
        causes,
        repeats,
        held_up_by,
        considered,
        not_considered,
    }))
}

fn not_considered(
    definitions: &Definitions,
    event: &Event,
    decisions: &[Decision],
    is_activated: bool,
) -> Vec<NotConsideredJson> {
    let owner = definitions.owner_of(event);
    let undecided = |trigger: &&Trigger| {
        let decided = decisions.iter().any(|decision| decision.trigger_id == trigger.id);
        trigger.scope == event.scope && !decided
    };
    let reason = |trigger: &Trigger| match trigger.overlooks(event, owner) {
        Some(overlooked) => overlooked.to_string(),
        None if is_activated => "it was not defined like this when the event came".to_owned(),
        None => "it has not decided yet".to_owned(),
    };
    let with_reason = |trigger: &Trigger| NotConsideredJson {
        trigger: trigger.name.clone(),
        trigger_id: trigger.id.clone(),
        reason: reason(trigger),
    };
    definitions.triggers.iter().filter(undecided).map(with_reason).collect()
}

impl From<Run> for RunJson {
    fn from(run: Run) -> Self {
        Self {
            status: run.status,
            attempt: run.attempt,
            error: run.error,
            due_at: run.due_at,
            ended_at: run.ended_at,
        }
    }
}
