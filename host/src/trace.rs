//! One trace from what came in to what came of it.
//!
//! ```text
//!   sender ─ traceparent ─► request ─► event ─► activation ─► run ─► worker ─► program
//!                                       kept in the store       TRACEPARENT in its environment
//! ```
//! Work is done within a span: a place in a trace that what it makes names as its parent. Traces go
//! on whether or not anybody collects them; where spans are exported, these are the same ones.
//! A span holds words of the host's own and identifiers; never a payload, a prompt or a secret.

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::clock::Clock;
use crate::model::trace::TraceParent;

tokio::task_local! {
    static HERE: TraceParent;
}

/// Does work within `span`, whose parent this is; without one, a new trace begins.
pub async fn within<T>(
    parent: Option<&TraceParent>,
    span: Span,
    clock: Clock,
    work: impl Future<Output = T>,
) -> T {
    let here = place(parent, &span, clock);
    HERE.scope(here, work.instrument(span)).await
}

/// The present place, if the work is done within one.
pub fn present() -> Option<TraceParent> {
    HERE.try_with(TraceParent::clone).ok()
}

/// The present place; where there is none, the first of a new trace.
pub fn here(clock: Clock) -> TraceParent {
    present().unwrap_or_else(|| begin(clock))
}

fn begin(clock: Clock) -> TraceParent {
    TraceParent::begin(clock.random(), clock.random())
}

fn place(parent: Option<&TraceParent>, span: &Span, clock: Clock) -> TraceParent {
    if let Some(parent) = parent {
        // Where no spans are collected there is nothing to tell.
        let _ =
            span.set_parent(opentelemetry::Context::new().with_remote_span_context(remote(parent)));
    }
    let context = span.context();
    let collected = context.span().span_context().clone();
    if collected.is_valid() {
        return TraceParent::begin(collected.trace_id().to_bytes(), collected.span_id().to_bytes())
            .sampled(collected.is_sampled());
    }
    parent.map_or_else(|| begin(clock), |parent| parent.child(clock.random()))
}

fn remote(parent: &TraceParent) -> SpanContext {
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from_bytes(parent.trace()), SpanId::from_bytes(parent.span()));
    SpanContext::new(trace, span, flags, true, TraceState::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_on_with_its_parents_trace() {
        let parent = begin(Clock);
        let place = within(Some(&parent), Span::none(), Clock, async { here(Clock) }).await;
        assert_eq!(place.trace(), parent.trace());
        assert_ne!(place.span(), parent.span());
        assert_eq!(present(), None);
        assert_ne!(here(Clock).trace(), here(Clock).trace());
    }
}
