//! Triggers tried on an event, and fired by hand.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::author::AuditedStore;
use super::extract::{Body, Segment};
use super::json::InScope;
use super::parameters::Parameters;
use super::problem::{Problem, admit};
use crate::activation::{ActivationError, FireError, Occasion, Trial};
use crate::model::content::Content;
use crate::model::decision::Verdict;
use crate::model::definition::Trigger;
use crate::model::envelope::{Envelope, Event};
use crate::model::id::{EventId, RunId};
use crate::model::problem::Problems;
use crate::model::run::Stages;
use crate::model::sample::{self, Defaults};
use crate::model::scope::Scope;
use crate::store::events;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    event_id: Option<EventId>,
    envelope: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FireBody {
    event_id: Option<EventId>,
    data: Option<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct TrialJson {
    outcome: &'static str,
    reason: Option<String>,
    prompt: Option<String>,
    untrusted_content: Option<Content>,
    stages: Option<Stages>,
}

#[derive(Debug, Serialize)]
pub(super) struct FiredJson {
    run_id: RunId,
}

pub(super) async fn test(
    State(api): State<Arc<Api>>,
    Segment(name): Segment,
    Parameters(scope): Parameters<InScope>,
    Body(body): Body,
) -> Result<Json<TrialJson>, Problem> {
    let scope = scope.scope();
    let trigger = trigger(&api, &scope, &name)?;
    let envelope = match read(body)? {
        TestBody { event_id: Some(id), envelope: None } => {
            Envelope::open(event(&api, &scope, &id).await?).map_err(|error| unreadable(&error))?
        }
        TestBody { event_id: None, envelope: Some(sample) } => {
            let defaults = Defaults { scope, now: api.clock.now() };
            let wrong = |problems: Problems| invalid(&problems.within("envelope"));
            sample::envelope(&sample, defaults).map_err(wrong)?
        }
        _ => return Err(wrong("", "has to have either event_id or envelope")),
    };
    let trial = api.activator.test(&trigger, &envelope).await.map_err(|error| match error {
        ActivationError::Store(error) => error.into(),
        ActivationError::Busy(error) => busy().detail(error),
        ActivationError::Full(full) => full.into(),
        ActivationError::Data(error) => unreadable(&error),
    })?;
    Ok(Json(trial.into()))
}

pub(super) async fn fire(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(name): Segment,
    Parameters(scope): Parameters<InScope>,
    Body(body): Body,
) -> Result<(StatusCode, Json<FiredJson>), Problem> {
    let scope = scope.scope();
    let trigger = trigger(&api, &scope, &name)?;
    let occasion = match read(body)? {
        FireBody { event_id: Some(_), data: Some(_) } => {
            return Err(wrong("data", "stands beside event_id: give one of them"));
        }
        FireBody { event_id: Some(id), data: None } => {
            Occasion::Event(event(&api, &scope, &id).await?)
        }
        FireBody { event_id: None, data } => Occasion::Data(data.unwrap_or_else(|| json!({}))),
    };
    admit(&api, &trigger.scope).await?;
    let fired = api.activator.fire(&store, &trigger, occasion).await;
    let run_id = fired.map_err(|error| not_fired(&api, error))?;
    api.hub.notify();
    Ok((StatusCode::CREATED, Json(FiredJson { run_id })))
}

/// The trigger of this name or identifier.
fn trigger(api: &Api, scope: &Scope, name: &str) -> Result<Trigger, Problem> {
    let definitions = api.catalog.now();
    let meant = |trigger: &&Trigger| {
        trigger.scope == *scope && (trigger.name.as_str() == name || trigger.id.as_str() == name)
    };
    definitions.triggers.iter().find(meant).cloned().ok_or_else(|| Problem::not_found("trigger"))
}

async fn event(api: &Api, scope: &Scope, id: &EventId) -> Result<Arc<Event>, Problem> {
    let found = events::find(&api.store, scope, id).await?;
    found.map(|(_, event)| Arc::new(event)).ok_or_else(|| Problem::not_found("event"))
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Problem> {
    T::deserialize(body).map_err(|error| wrong("", error))
}

fn wrong(path: &str, reason: impl std::fmt::Display) -> Problem {
    let mut problems = Problems::default();
    problems.add(path, reason);
    invalid(&problems)
}

fn invalid(problems: &Problems) -> Problem {
    let title = "what was sent is not valid";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", title).at(problems)
}

fn unreadable(error: &impl ToString) -> Problem {
    let title = "the event's data cannot be read";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable_event", title)
        .detail(error.to_string())
}

fn busy() -> Problem {
    Problem::unavailable("component_busy", "a component is busy")
}

fn not_fired(api: &Api, error: FireError) -> Problem {
    match error {
        FireError::Store(error) => error.into(),
        FireError::Busy(error) => busy().detail(error),
        FireError::Data(error) => unreadable(&error),
        FireError::Occasion(problems) => invalid(&problems),
        FireError::Because(Verdict::Limited(retry_at)) => {
            let title = "the trigger has fired as often as it may for now";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "fire_limit", title)
                .detail(format!("it may fire again at {retry_at}"))
                .retry_after(retry_at.since(api.clock.now()))
        }
        FireError::Because(verdict) => refused(&verdict),
    }
}

fn refused(verdict: &Verdict) -> Problem {
    let (status, title) = match verdict {
        Verdict::Disabled => (StatusCode::CONFLICT, "the trigger is switched off"),
        Verdict::Canceled(_) => (StatusCode::CONFLICT, "a pre-fire hook called it off"),
        Verdict::RenderError(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "the template has no prompt for this")
        }
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "the trigger does not fire"),
    };
    let problem = Problem::new(status, verdict.outcome().as_str(), title);
    match verdict.reason() {
        Some(reason) => problem.detail(reason),
        None => problem,
    }
}

impl From<Trial> for TrialJson {
    fn from(trial: Trial) -> Self {
        let (prompt, untrusted_content) = trial.prompt.unzip();
        Self {
            outcome: trial.answer.as_str(),
            reason: trial.answer.reason().map(str::to_owned),
            prompt,
            untrusted_content,
            stages: trial.stages,
        }
    }
}
