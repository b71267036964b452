//! Runs, and calling them off.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::author::AuditedStore;
use super::extract::Segment;
use super::json::{InReach, InScope, Listing, Paging, ScopeJson};
use super::owners::{self, Meant, Wanted};
use super::parameters::{Given, Parameters, Query};
use super::problem::{Problem, admit};
use super::tasks::session;
use super::waiting::{ReasonJson, WaitingJson};
use crate::dispatch::waiting::{self, Attendance};
use crate::model::content::Content;
use crate::model::definition::{Agent, Assignment, Priority, Retry};
use crate::model::id::{EventId, FireId, JobId, RunId, TaskId, TriggerId};
use crate::model::name::Name;
use crate::model::run::{Interaction, Owner, Run, RunStatus, Stages, Terms};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::commands::{self, Canceling, CommandFilter};
use crate::store::firing::{self, Firing};
use crate::store::runs::{self, RunFilter};
use crate::store::{PageRequest, events};
use crate::trace;

#[derive(Debug)]
pub(super) struct ListQuery {
    reach: InReach,
    wanted: Wanted,
    /// Without the owner, which may have to be looked for.
    filter: RunFilter,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        let reach = InReach::read(given);
        let wanted = owners::wanted(given, &reach.reach());
        let (since, until) = given.span("since", "until");
        Self {
            filter: RunFilter {
                status: given.word("status"),
                event_id: given.word("event_id"),
                agent: given.word("agent"),
                session: given.parsed("session", |text| session(&reach.reach(), text)),
                since,
                until,
                exclude: given.parsed("exclude", owners::exclude).unwrap_or_default(),
                ..RunFilter::default()
            },
            wanted,
            reach,
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryJson {
    id: RunId,
    status: RunStatus,
    agent: Name,
    trigger: Option<Name>,
    trigger_id: Option<TriggerId>,
    job: Option<Name>,
    job_id: Option<JobId>,
    task_id: Option<TaskId>,
    event_id: Option<EventId>,
    fire_id: Option<FireId>,
    scheduled_at: Option<Time>,
    #[serde(flatten)]
    scope: ScopeJson,
    priority: Priority,
    attempt: u32,
    due_at: Option<Time>,
    created_at: Time,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<String>,
    /// What it said has been removed.
    log_removed: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct RunJson {
    #[serde(flatten)]
    summary: SummaryJson,
    /// The event that led to it is there no more.
    event_removed: bool,
    prompt: String,
    untrusted_content: Content,
    task: Option<Assignment>,
    retry: Retry,
    depth: u32,
    causes: Vec<String>,
    stages: Stages,
    delivery_error: Option<String>,
    delivery_error_at: Option<Time>,
    task_run_id: Option<RunId>,
    terms: Terms,
    interaction: Interaction,
    result: Option<Value>,
    /// None once a worker has it, or it is over.
    waiting: Option<WaitingJson>,
}

/// A run as listings have it.
#[derive(Debug, Serialize)]
pub(super) struct ListedJson {
    #[serde(flatten)]
    summary: SummaryJson,
    /// None unless nobody takes what its agent is to do.
    waiting: Option<AbsenceJson>,
}

#[derive(Debug, Serialize)]
struct AbsenceJson {
    reasons: Vec<ReasonJson>,
}

/// A page of runs, and whose they are where that was said by a name.
#[derive(Debug, Serialize)]
pub(super) struct ListJson {
    #[serde(flatten)]
    page: Listing<ListedJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<Meant>,
    /// That nobody has the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<ListJson>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let owner = owners::find(&api.store, query.wanted).await?;
    let filter = RunFilter { owner_kind: owner.kind, owner_id: owner.id, ..query.filter };
    let page = runs::list(&api.store, reach, &filter, page).await?;
    let attendance = match page.items.iter().any(|run| waits(run.status)) {
        true => Some(Attendance::look(&api.store).await?),
        false => None,
    };
    let page = Listing::page(page, |run| listed(&run, attendance.as_ref()));
    Ok(Json(ListJson { page, of: owner.meant, note: owner.note }))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<RunJson>, Problem> {
    let run = find(&api, &id, &scope.scope()).await?;
    Ok(Json(shown(&api, run).await?))
}

pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<RunJson>), Problem> {
    let scope = scope.scope();
    let run_id = id.parse().map_err(|_| Problem::not_found("run"))?;
    let canceling = commands::cancel(&store, &scope, &run_id, api.clock.now()).await?;
    let status = match canceling.ok_or_else(|| Problem::not_found("run"))? {
        Canceling::Ended => StatusCode::OK,
        Canceling::Asked { .. } => {
            // The word to the worker is in the queue.
            api.hub.notify();
            StatusCode::ACCEPTED
        }
        Canceling::Over => {
            let title = "the run has ended; what has ended does not change";
            return Err(Problem::new(StatusCode::CONFLICT, "run_ended", title));
        }
    };
    let run = find(&api, &id, &scope).await?;
    Ok((status, Json(shown(&api, run).await?)))
}

/// A new run that does what one did that has ended.
pub(super) async fn retry(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<RunJson>), Problem> {
    let scope = scope.scope();
    let of = find(&api, &id, &scope).await?;
    refuse_retry(&of)?;
    admit(&api, &scope).await?;
    let (now, id) = (api.clock.now(), of.made.id.clone());
    let mut run = of.made.again(api.clock.run_id(), now);
    run.terms.traceparent = Some(trace::here(api.clock));
    let again = run.id.clone();
    let firing = Firing { run, command_id: api.clock.command_id(), limit: None };
    firing::again(&store, firing, id, now).await?;
    api.hub.notify();
    let run = find(&api, again.as_str(), &scope).await?;
    Ok((StatusCode::CREATED, Json(shown(&api, run).await?)))
}

/// Why a run cannot be done once more, if it cannot.
fn refuse_retry(run: &Run) -> Result<(), Problem> {
    let conflict = |code, title| Err(Problem::new(StatusCode::CONFLICT, code, title));
    match (&run.made.owner, &run.made.task) {
        _ if !run.status.is_terminal() => {
            conflict("run_not_ended", "the run has not ended: cancel it first, or wait")
        }
        (Owner::Task { .. }, _) => {
            conflict("run_of_task", "the run is a task's: tell the task more, or make another")
        }
        (_, Some(_)) => {
            conflict("run_delegated", "the run was handed over to a task: fire its job again")
        }
        _ => Ok(()),
    }
}

async fn find(api: &Api, id: &str, scope: &Scope) -> Result<Run, Problem> {
    let missing = || Problem::not_found("run");
    let id: RunId = id.parse().map_err(|_| missing())?;
    let not_kept = || Problem::not_kept("run", id.minted_at(), api.clock.now());
    runs::find(&api.store, scope, &id).await?.ok_or_else(not_kept)
}

async fn shown(api: &Api, run: Run) -> Result<RunJson, Problem> {
    let event_removed = match &run.made.event_id {
        Some(event) => !events::is_kept(&api.store, &run.made.scope, event).await?,
        None => false,
    };
    let waiting = if waits(run.status) { waiting_of(api, &run).await? } else { None };
    Ok(RunJson { waiting, ..RunJson::new(run, event_removed) })
}

fn waits(status: RunStatus) -> bool {
    matches!(status, RunStatus::Scheduled | RunStatus::Blocked)
}

/// What keeps the run's present attempt, if it is in the queue.
async fn waiting_of(api: &Api, run: &Run) -> Result<Option<WaitingJson>, Problem> {
    let filter = CommandFilter { run_id: Some(run.made.id.clone()), ..CommandFilter::default() };
    let newest =
        commands::list(&api.store, &run.made.scope, &filter, PageRequest::first(1)).await?;
    let Some(command) = newest.items.first() else { return Ok(None) };
    let found = waiting::look(&api.store, &api.limits, command, api.clock.now()).await?;
    Ok(found.map(WaitingJson::from))
}

fn listed(run: &Run, attendance: Option<&Attendance>) -> ListedJson {
    let agent = || Agent { scope: run.made.scope.clone(), name: run.made.agent.clone() };
    let attendance = attendance.filter(|_| waits(run.status));
    let reasons = attendance.map_or_else(Vec::new, |attendance| attendance.absence(&agent()));
    let reasons: Vec<ReasonJson> = reasons.iter().map(ReasonJson::from).collect();
    let waiting = (!reasons.is_empty()).then_some(AbsenceJson { reasons });
    ListedJson { summary: SummaryJson::from(run), waiting }
}

impl From<&Run> for SummaryJson {
    fn from(run: &Run) -> Self {
        let (trigger, trigger_id, job, job_id) = match run.made.owner.clone() {
            Owner::Trigger { id, name } => (Some(name), Some(id), None, None),
            Owner::Job { id, name } => (None, None, Some(name), Some(id)),
            Owner::Task { .. } => (None, None, None, None),
        };
        let delegated = run.delegation.as_ref().map(|delegation| &delegation.task_id);
        let fire = run.made.fire.as_ref();
        Self {
            id: run.made.id.clone(),
            status: run.status,
            agent: run.made.agent.clone(),
            trigger,
            trigger_id,
            job,
            job_id,
            task_id: run.made.owner.task_id().or(delegated).cloned(),
            event_id: run.made.event_id.clone(),
            fire_id: fire.map(|fire| fire.id.clone()),
            scheduled_at: fire.map(|fire| fire.scheduled_at),
            priority: run.made.priority,
            due_at: run.due_at,
            scope: ScopeJson::from(&run.made.scope),
            attempt: run.attempt,
            created_at: run.made.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            error: run.error.clone(),
            log_removed: run.log_removed,
        }
    }
}

impl RunJson {
    pub(super) fn new(run: Run, event_removed: bool) -> Self {
        let summary = SummaryJson::from(&run);
        let (delivery_error, delivery_error_at) = run.delivery_error.unzip();
        Self {
            summary,
            event_removed,
            prompt: run.made.prompt,
            untrusted_content: run.made.content,
            task: run.made.task,
            retry: run.made.retry,
            depth: run.made.depth,
            causes: run.made.causes,
            stages: run.made.stages,
            delivery_error,
            delivery_error_at,
            task_run_id: run.delegation.map(|delegation| delegation.task_run_id),
            terms: run.made.terms,
            interaction: run.interaction,
            result: run.result,
            waiting: None,
        }
    }
}
