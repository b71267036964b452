//! Events, with what was decided on them.

use std::collections::BTreeMap;
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
use super::parameters::{Given, Parameters, Query};
use super::problem::{Problem, admit};
use crate::ingress::delivery_keys;
use crate::model::decision::{Decision, Outcome};
use crate::model::definition::Endpoint;
use crate::model::envelope::{Arrival, Envelope, Event, Producer, Source, Verified, Way};
use crate::model::id::{EventId, RunId, TriggerId};
use crate::model::name::{Kind, Name};
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::events::{self, EventFilter, EventSummary};
use crate::trace;

#[derive(Debug)]
pub(super) struct ListQuery {
    /// Without the identities, which need the endpoints.
    filter: EventFilter,
    delivery_id: Option<String>,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        let kind = given.word("kind");
        let (endpoint, producer) = (given.word("endpoint"), given.word("producer"));
        if endpoint.is_some() && producer.is_some() {
            given.wrong("producer", "stands beside endpoint: an event has one of them");
        }
        let (since, until) = given.span("since", "until");
        let outcome = given.word("outcome");
        let producer = endpoint.or(producer);
        Self {
            filter: EventFilter { kind, producer, since, until, outcome, identities: None },
            delivery_id: given.text("delivery_id"),
            reach: InReach::read(given),
            paging: Paging::read(given),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct SummaryJson {
    id: EventId,
    kind: Kind,
    #[serde(flatten)]
    scope: ScopeJson,
    source: Source,
    endpoint: Option<Arrival>,
    producer: Option<Producer>,
    received_at: Time,
    verified: Option<Verified>,
    activated_at: Option<Time>,
    /// How many triggers decided how.
    outcomes: BTreeMap<Outcome, u32>,
    /// The event that it reads like, and that came within a day of it.
    repeat_of: Option<EventId>,
}

#[derive(Debug, Serialize)]
pub(super) struct EventJson {
    #[serde(flatten)]
    summary: SummaryJson,
    envelope: Value,
    decisions: Vec<DecisionJson>,
}

#[derive(Debug, Serialize)]
pub(super) struct DecisionJson {
    trigger: Name,
    trigger_id: TriggerId,
    outcome: Outcome,
    reason: Option<String>,
    retry_at: Option<Time>,
    run_id: Option<RunId>,
    at: Time,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<SummaryJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let identities = query.delivery_id.map(|id| identities(&api, &query.filter, &id));
    let filter = EventFilter { identities, ..query.filter };
    let page = events::list(&api.store, reach, &filter, page).await?;
    let ids: Vec<&EventId> = page.items.iter().map(|event| &event.id).collect();
    let outcomes = events::outcomes(&api.store, &ids).await?;
    let summary = |event: EventSummary| {
        let outcomes = outcomes.get(event.id.as_str()).cloned().unwrap_or_default();
        SummaryJson { outcomes, ..event.into() }
    };
    Ok(Json(Listing::page(page, summary)))
}

/// What a delivery is recognised by that its sender calls this, on the endpoints that are asked for.
fn identities(api: &Api, filter: &EventFilter, delivery_id: &str) -> Vec<String> {
    let definitions = api.catalog.now();
    let asked_for = |endpoint: &&Endpoint| {
        filter.producer.as_ref().is_none_or(|producer| producer.as_str() == endpoint.slug.as_str())
    };
    delivery_keys(definitions.endpoints.iter().filter(asked_for), delivery_id)
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Json<EventJson>, Problem> {
    Ok(Json(shown(&api, &scope.scope(), &id).await?))
}

/// A new event that brings what one brought that is kept, for the triggers there are today.
pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<(StatusCode, Json<EventJson>), Problem> {
    let scope = scope.scope();
    let (_, event) = find(&api, &scope, &id).await?;
    admit(&api, &scope).await?;
    let (now, traceparent) = (api.clock.now(), trace::here(api.clock).to_string());
    let again = Arc::new(event.again(api.clock.event_id(), now, Some(traceparent)));
    events::replay(&store, Arc::clone(&again), event.id, now).await?;
    let id = again.id.clone();
    api.inbox.put(again);
    Ok((StatusCode::CREATED, Json(shown(&api, &scope, id.as_str()).await?)))
}

async fn find(api: &Api, scope: &Scope, id: &str) -> Result<(EventSummary, Event), Problem> {
    let missing = || Problem::not_found("event");
    let id: EventId = id.parse().map_err(|_| missing())?;
    let found = events::find(&api.store, scope, &id).await?;
    found.ok_or_else(|| Problem::not_kept("event", id.minted_at(), api.clock.now()))
}

async fn shown(api: &Api, scope: &Scope, id: &str) -> Result<EventJson, Problem> {
    let (summary, event) = find(api, scope, id).await?;
    let decisions = events::decisions(&api.store, &event.id).await?;
    let envelope = Envelope::open(Arc::new(event)).map(|envelope| envelope.to_json());
    Ok(EventJson {
        summary: SummaryJson::of(summary, &decisions),
        envelope: envelope.unwrap_or_default(),
        decisions: decisions.into_iter().map(DecisionJson::from).collect(),
    })
}

impl SummaryJson {
    /// An event on which this was decided.
    pub(super) fn of(event: EventSummary, decisions: &[Decision]) -> Self {
        let mut outcomes = BTreeMap::new();
        for decision in decisions {
            *outcomes.entry(decision.verdict.outcome()).or_default() += 1;
        }
        Self { outcomes, ..event.into() }
    }
}

impl From<EventSummary> for SummaryJson {
    fn from(event: EventSummary) -> Self {
        let (endpoint, producer) = match event.way {
            Way::Endpoint(arrival) => (Some(arrival), None),
            Way::Producer(producer) => (None, Some(producer)),
        };
        Self {
            id: event.id,
            kind: event.kind,
            scope: ScopeJson::from(&event.scope),
            source: event.source,
            endpoint,
            producer,
            received_at: event.received_at,
            verified: event.verified,
            activated_at: event.activated_at,
            outcomes: BTreeMap::new(),
            repeat_of: event.repeat_of,
        }
    }
}

impl From<Decision> for DecisionJson {
    fn from(decision: Decision) -> Self {
        let verdict = &decision.verdict;
        Self {
            outcome: verdict.outcome(),
            reason: verdict.reason().map(str::to_owned),
            retry_at: verdict.retry_at(),
            run_id: verdict.run_id().cloned(),
            trigger: decision.trigger,
            trigger_id: decision.trigger_id,
            at: decision.at,
        }
    }
}
