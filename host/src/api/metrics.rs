//! What Prometheus scrapes. It asks for no key: the values tell of no workspace, no name and no
//! event, and who may ask is decided by where the host listens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Api;
use crate::metrics::Form;
use crate::store::figures::figures;

/// How long figures of the store are good for: whoever scrapes more often gets the same ones.
const FRESH: Duration = Duration::from_secs(3);
/// How long a scrape waits for the store.
const PATIENCE: Duration = Duration::from_secs(2);

/// When the store's figures were last asked for.
#[derive(Debug, Default)]
pub struct Figures(Mutex<Option<Instant>>);

impl Figures {
    /// Brings the figures up to date, one scrape at a time.
    async fn refresh(&self, api: &Api) {
        let mut asked = self.0.lock().await;
        if asked.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let read = timeout(PATIENCE, figures(&api.store, api.clock.now())).await;
        match &read {
            Ok(Ok(present)) => api.metrics.queue().show(present),
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to read the store's figures");
                api.metrics.queue().hide();
            }
            Err(_) => {
                tracing::warn!("timed out reading the store's figures");
                api.metrics.queue().hide();
            }
        }
        api.metrics.store().up(matches!(read, Ok(Ok(_))));
        *asked = Some(Instant::now());
    }
}

pub(super) async fn scrape(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    api.figures.refresh(&api).await;
    api.metrics.store().pool(api.store.connections());
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let form = Form::accepted(accept);
    ([(CONTENT_TYPE, form.content_type())], api.metrics.text(form)).into_response()
}

/// Measures every request by its route.
pub(super) async fn measure(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    let status = response.status().as_u16();
    api.metrics.http().answered(method.as_str(), route, status, begin.elapsed());
    response
}
