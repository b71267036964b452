//! Run input: given to runs and tasks, and looked at.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::author::AuditedStore;
use super::extract::{Body, Segment};
use super::json::InScope;
use super::parameters::Parameters;
use super::problem::Problem;
use super::{Api, idempotency, problem, tasks};
use crate::config::definitions::fields::{Fields, text, word};
use crate::model::id::{CommandId, InputId, RunId};
use crate::model::input::{Addressee, InputMode, InputOutcome, NewInput, PendingInput, RunInput};
use crate::model::problem::Problems;
use crate::model::run::Interaction;
use crate::model::scope::Scope;
use crate::model::task::{Idempotency, TaskStatus};
use crate::model::time::Time;
use crate::store::inputs::{self, Given};
use crate::store::{self, Store, runs};

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/runs/{id}/input", post(give_run))
        .route("/api/v1/runs/{id}/inputs", get(list))
        .route("/api/v1/tasks/{id}/input", post(give_task))
}

#[derive(Debug, Serialize)]
struct GivenJson {
    input_id: InputId,
    outcome: InputOutcome,
    mode: InputMode,
    /// The run that gets it.
    run_id: RunId,
    /// The run that it was meant for.
    for_run_id: RunId,
    command_id: CommandId,
    created_at: Time,
    deduplicated: bool,
}

#[derive(Debug, Serialize)]
struct InputJson {
    input_id: InputId,
    outcome: InputOutcome,
    mode: InputMode,
    text: String,
    run_id: RunId,
    for_run_id: RunId,
    command_id: CommandId,
    created_at: Time,
    delivered_at: Option<Time>,
}

/// A question that waits for an answer.
#[derive(Debug, Serialize)]
pub(super) struct PendingJson {
    seq: i64,
    prompt: Option<String>,
    asked_at: Time,
}

#[derive(Debug, Serialize)]
struct InputsJson {
    interaction: Interaction,
    inputs: Vec<InputJson>,
    pending: Vec<PendingJson>,
}

/// An input as a client sends it.
struct Sent {
    text: String,
    mode: InputMode,
    idempotency: Option<Idempotency>,
}

async fn give_run(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<GivenJson>), Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("run"))?;
    give(&api, &store, scope.scope(), Addressee::Run(id), read(body, &headers)?).await
}

async fn give_task(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Json<GivenJson>), Problem> {
    let id = tasks::parse(&id)?;
    give(&api, &store, scope.scope(), Addressee::Task(id), read(body, &headers)?).await
}

async fn give(
    api: &Api,
    store: &Store,
    scope: Scope,
    to: Addressee,
    sent: Sent,
) -> Result<(StatusCode, Json<GivenJson>), Problem> {
    let what = if matches!(to, Addressee::Run(_)) { "run" } else { "task" };
    let input = NewInput {
        id: api.clock.input_id(),
        scope,
        to,
        mode: sent.mode,
        text: sent.text,
        idempotency: sent.idempotency,
        run_id: api.clock.run_id(),
        command_id: api.clock.command_id(),
        now: api.clock.now(),
    };
    let _turn = api.turns.take(input.idempotency.as_ref()).await;
    let given = match inputs::known(store, &input).await? {
        Some(known) => Some(known),
        None => give_new(api, store, input).await?,
    };
    let (status, input, deduplicated) = match given.ok_or_else(|| Problem::not_found(what))? {
        Given::New(input) => (StatusCode::CREATED, input, false),
        Given::Known(input) => (StatusCode::OK, input, true),
        Given::Mismatch => return Err(idempotency::mismatch()),
    };
    api.hub.notify();
    let given = GivenJson {
        input_id: input.id,
        outcome: input.outcome,
        mode: input.mode,
        run_id: input.into_run_id,
        for_run_id: input.run_id,
        command_id: input.command_id,
        created_at: input.created_at,
        deduplicated,
    };
    Ok((status, Json(given)))
}

/// Gives an input whose key is not known.
async fn give_new(api: &Api, store: &Store, input: NewInput) -> Result<Option<Given>, Problem> {
    let NewInput { scope, to, mode, .. } = &input;
    let scope = scope.clone();
    let needs_room = *mode != InputMode::Interrupt && !waits(api, &scope, to).await?;
    if needs_room && let Err(full) = problem::admit(api, &scope).await {
        // Another host may have taken it meanwhile.
        return inputs::known(store, &input).await?.map(Some).ok_or(full);
    }
    let given = inputs::give(store, input).await?;
    if needs_room && !matches!(given, Some(Given::New(_))) {
        api.admission.give_back(&scope).await;
    }
    Ok(given)
}

/// Whether a program waits for an answer. It is let in however many commands wait: they may wait
/// for just this program.
async fn waits(api: &Api, scope: &Scope, to: &Addressee) -> Result<bool, Problem> {
    Ok(match to {
        Addressee::Run(id) => {
            let run = runs::find(&api.store, scope, id).await?;
            run.is_some_and(|run| run.interaction == Interaction::WaitingForInput)
        }
        Addressee::Task(id) => {
            let task = store::tasks::find(&api.store, scope, id).await?;
            task.is_some_and(|task| task.status == TaskStatus::Waiting)
        }
    })
}

fn read(body: Value, headers: &HeaderMap) -> Result<Sent, Problem> {
    let mut problems = Problems::default();
    let sent = parse(body, headers, &mut problems);
    match sent.filter(|_| problems.is_empty()) {
        Some(sent) => Ok(sent),
        None => Err(tasks::invalid(&problems)),
    }
}

fn parse(body: Value, headers: &HeaderMap, problems: &mut Problems) -> Option<Sent> {
    let mut fields = Fields::open("input", body, problems)?;
    let message = fields.required("text", tasks::message);
    let mode = fields.or("mode", InputMode::Followup, word);
    let key = fields.optional("idempotency_key", text).flatten();
    let path = fields.path("idempotency_key");
    let key = idempotency::key(headers, key, &path, fields.problems());
    fields.close();
    let (text, mode) = (message?, mode?);
    let idempotency = key.map(|key| idempotency::of(key, &json!([text, mode])));
    Some(Sent { text, mode, idempotency })
}

async fn list(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<InputsJson>, Problem> {
    let missing = || Problem::not_found("run");
    let id: RunId = id.parse().map_err(|_| missing())?;
    let run = runs::find(&api.store, &scope.scope(), &id).await?.ok_or_else(missing)?;
    let inputs = inputs::of_run(&api.store, &id).await?;
    let pending = inputs::pending(&api.store, &id).await?;
    Ok(Json(InputsJson {
        interaction: run.interaction,
        inputs: inputs.into_iter().map(InputJson::from).collect(),
        pending: pending.into_iter().map(PendingJson::from).collect(),
    }))
}

impl From<RunInput> for InputJson {
    fn from(input: RunInput) -> Self {
        Self {
            input_id: input.id,
            outcome: input.outcome,
            mode: input.mode,
            text: input.text,
            run_id: input.into_run_id,
            for_run_id: input.run_id,
            command_id: input.command_id,
            created_at: input.created_at,
            delivered_at: input.delivered_at,
        }
    }
}

impl From<PendingInput> for PendingJson {
    fn from(question: PendingInput) -> Self {
        Self { seq: question.seq, prompt: question.prompt, asked_at: question.asked_at }
    }
}
