//! HTTP: webhooks in front, `/api/v1` behind a key, and the workers' WebSocket and polls.
//!
//! One file per resource. Handlers turn requests into domain types, call what does the work, and
//! turn its answer into JSON; errors are RFC 9457 problems.

mod audit;
mod auth;
mod author;
mod body;
mod classes;
mod coding;
mod commands;
mod config;
mod controllers;
mod definitions;
mod events;
mod explain;
mod extract;
mod firing;
mod headers;
mod health;
mod idempotency;
mod ids;
mod inputs;
mod jobs;
mod json;
mod listener;
mod logs;
mod metrics;
mod owners;
mod parameters;
mod pauses;
mod places;
mod problem;
mod requests;
mod runs;
mod sessions;
mod source_states;
mod stats;
mod stream;
mod tasks;
mod waiting;
mod webhooks;
mod worker_poll;
mod worker_socket;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activation::Activator;
use crate::admission::AdmissionControl;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::controllers::{Controllers, Registrar};
use crate::dispatch::hub::Hub;
use crate::dispatch::limits::Limits;
use crate::dispatch::poll::Polls;
use crate::dispatch::protocol;
use crate::ingress::Webhooks;
use crate::ingress::inbox::InboxSender;
use crate::metrics::Metrics;
use crate::schedule::Gate;
use crate::store::Store;
pub use idempotency::Turns;
pub use listener::serve;
pub use metrics::Figures;

/// What handlers work with.
#[derive(Debug)]
pub struct Api {
    /// The store.
    pub store: Store,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// The connected workers.
    pub hub: Hub,
    /// Those of them that poll.
    pub polls: Polls,
    /// Counts the workers' connections, until each has said its last word to the store.
    pub links: TaskTracker,
    /// Where events go that are in the store.
    pub inbox: InboxSender,
    /// What tries triggers, and fires them by hand.
    pub activator: Arc<Activator>,
    /// What jobs pass before they fire.
    pub gate: Gate,
    /// How many commands may wait.
    pub admission: AdmissionControl,
    /// Who asks under the same key.
    pub turns: Turns,
    /// How many may be out at once.
    pub limits: Limits,
    /// What is defined.
    pub catalog: Catalog,
    /// Who changes it.
    pub registrar: Arc<Registrar>,
    /// The background loops.
    pub controllers: Controllers,
    /// The time.
    pub clock: Clock,
    /// What is measured.
    pub metrics: Metrics,
    /// The store's figures among it.
    pub figures: Figures,
    /// Room for the bodies of webhooks at hand, a permit a byte.
    pub body_room: Semaphore,
    /// Room for those who follow runs.
    pub stream_room: Arc<Semaphore>,
    /// Called when the host takes nothing new.
    pub draining: CancellationToken,
    /// Called when connections are to end.
    pub stop: CancellationToken,
}

/// The room that [`Api::body_room`] begins with.
pub fn body_room() -> Semaphore {
    Semaphore::new(webhooks::BODY_ROOM_BYTES)
}

/// The room that [`Api::stream_room`] begins with.
pub fn stream_room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(stream::STREAMS_MAX))
}

/// The routes below `/api/v1` by what opens them: a key, a worker's credential, a bootstrap token.
pub fn routes() -> [Router<Arc<Api>>; 3] {
    let resources = Router::new()
        .route("/api/v1/events", get(events::list))
        .route("/api/v1/events/{id}", get(events::show))
        .route("/api/v1/events/{id}/explain", get(explain::explain))
        .route("/api/v1/events/{id}/replay", post(events::replay))
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{id}", get(runs::show))
        .route("/api/v1/runs/{id}/logs", get(logs::logs))
        .route("/api/v1/runs/{id}/events", get(logs::events))
        .route("/api/v1/runs/{id}/activity", get(logs::activity))
        .route("/api/v1/runs/{id}/stream", get(stream::follow))
        .route("/api/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/api/v1/runs/{id}/retry", post(runs::retry))
        .route("/api/v1/triggers/{id}/test", post(firing::test))
        .route("/api/v1/triggers/{id}/fire", post(firing::fire))
        .route("/api/v1/classes", get(classes::list))
        .route("/api/v1/stats", get(stats::show))
        .route("/api/v1/ids/{beginning}", get(ids::find))
        .route("/api/v1/config/reload", post(config::reload))
        .merge(audit::routes())
        .merge(commands::routes())
        .merge(controllers::routes())
        .merge(definitions::routes())
        .merge(inputs::routes())
        .merge(jobs::routes())
        .merge(pauses::routes())
        .merge(sessions::routes())
        .merge(source_states::routes())
        .merge(workers::routes())
        .merge(tasks::routes());
    let for_workers = Router::new()
        .route(protocol::PATH, get(worker_socket::connect))
        .route(protocol::POLL_PATH, post(worker_poll::poll));
    [resources, for_workers, workers::registration()]
}

/// Every route.
pub fn router(api: Arc<Api>) -> Router {
    let [resources, for_workers, registration] = routes();
    let with_key = axum::middleware::from_fn_with_state(Arc::clone(&api), auth::require_key);
    let as_worker = axum::middleware::from_fn_with_state(Arc::clone(&api), auth::require_worker);
    Router::new()
        .merge(resources.route_layer(with_key))
        .merge(for_workers.route_layer(as_worker))
        .merge(registration)
        .route("/webhooks/{last}", post(webhooks::receive))
        .route("/webhooks/{workspace}/{last}", post(webhooks::receive_in_workspace))
        .route(protocol::SCHEMA_PATH, get(worker_poll::schema))
        .route("/metrics", get(metrics::scrape))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&api), metrics::measure))
        .layer(axum::middleware::from_fn(requests::identify))
        .with_state(api)
}
