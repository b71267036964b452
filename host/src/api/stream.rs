//! What a run says while it says it, as server-sent events (WHATWG HTML, section 9.2).
//!
//! ```text
//! event: log      a line               ┐
//! event: event    an event             ├ each with an `id` that says how far one has read
//! event: status   where the run stands │
//! event: end      the same, the last   ┘
//! ```
//! Whoever comes back with the last id as `Last-Event-ID` goes on behind it, at this host or at any
//! other of the same store: an id holds nothing but numbers of the store's. Each connection is told
//! where the run stands once it has been told all that was said before; the end comes when all was.
//! A reader gets the next portion when it has taken the last, so a slow one costs no memory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::extract::Segment;
use super::headers;
use super::json::InScope;
use super::logs::{EventJson, LineJson, StandJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::model::activity::Cursor;
use crate::model::id::RunId;
use crate::model::scope::Scope;
use crate::store::activity::{self, Activity, Portion};
use crate::store::logs::StoredLine;
use crate::store::run_events::StoredEvent;
use crate::store::{Listener, StoreError};

/// How many streams may be open at once: fewer than connections, so that others come through.
pub(super) const STREAMS_MAX: usize = 1024;
/// How much is read from the store at once.
const PORTION: Portion = Portion { logs: 128, events: 32 };
/// How long a run may say something at another replica before it is seen here.
const LOOK: Duration = Duration::from_secs(1);
/// How often a reader is told that the host is there.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a reader should wait before it comes back.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct StreamQuery {
    last_event_id: Option<Cursor>,
    scope: InScope,
}

impl Query for StreamQuery {
    fn read(given: &mut Given) -> Self {
        Self { last_event_id: given.word("last_event_id"), scope: InScope::read(given) }
    }
}

pub(super) async fn follow(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    headers: HeaderMap,
    Parameters(query): Parameters<StreamQuery>,
) -> Result<Response, Problem> {
    let run_id = id.parse().map_err(|_| Problem::not_found("run"))?;
    let after = last_read(&headers, query.last_event_id)?;
    follow_run(api, query.scope.scope(), run_id, after).await
}

/// The stream of one run behind the cursor.
pub(super) async fn follow_run(
    api: Arc<Api>,
    scope: Scope,
    run_id: RunId,
    after: Cursor,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("run");
    let nothing = Portion { logs: 0, events: 0 };
    let found = activity::read(&api.store, &scope, &run_id, after, nothing).await?;
    if found.ok_or_else(missing)?.run.status.is_terminal() && after.ended {
        // To a browser's EventSource, this says not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let room = Arc::clone(&api.stream_room).try_acquire_owned().map_err(|_| {
        Problem::unavailable("too_many_streams", "the host streams to as many as it can")
    })?;
    let listener = api.store.listen(&run_id);
    let reader = Reader {
        api,
        scope,
        run_id,
        listener,
        cursor: Cursor { ended: false, ..after },
        stand: None,
        frames: VecDeque::new(),
        over: false,
        _room: room,
    };
    let alive = KeepAlive::new().interval(ALIVE);
    let unbuffered = [("x-accel-buffering", "no")];
    Ok((unbuffered, Sse::new(reader.into_stream()).keep_alive(alive)).into_response())
}

/// How far the client has read, by the header, or the parameter where there is none.
fn last_read(headers: &HeaderMap, parameter: Option<Cursor>) -> Result<Cursor, Problem> {
    let name = "Last-Event-ID";
    match headers::only(headers, name)?.map(HeaderValue::to_str) {
        None => Ok(parameter.unwrap_or_default()),
        Some(Ok("")) => Ok(Cursor::default()),
        Some(Ok(text)) => text.parse().map_err(|reason| Problem::parameter(name, reason)),
        Some(Err(_)) => Err(Problem::parameter(name, "is not text")),
    }
}

/// One client that follows one run.
struct Reader {
    api: Arc<Api>,
    scope: Scope,
    run_id: RunId,
    listener: Listener,
    cursor: Cursor,
    /// Where the run stands, as the client was told last.
    stand: Option<String>,
    /// What is to be sent next.
    frames: VecDeque<Event>,
    /// Whether that is all.
    over: bool,
    _room: OwnedSemaphorePermit,
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let frame = reader.next().await?;
            Some((Ok(frame), reader))
        })
    }

    /// The next frame; none when the stream ends. A client that was not told the end comes back.
    async fn next(&mut self) -> Option<Event> {
        while self.frames.is_empty() {
            if self.over || self.api.stop.is_cancelled() {
                return None;
            }
            self.listener.attend();
            match self.look().await {
                Ok(Some(activity)) => self.take(activity),
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(run = %self.run_id, %error, "run stream ended early");
                    return None;
                }
            }
            if self.frames.is_empty() {
                self.wait().await;
            }
        }
        self.frames.pop_front()
    }

    async fn look(&self) -> Result<Option<Activity>, StoreError> {
        activity::read(&self.api.store, &self.scope, &self.run_id, self.cursor, PORTION).await
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.api.stop.cancelled() => {}
            () = self.listener.heard() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }

    /// Makes frames of what is new.
    fn take(&mut self, activity: Activity) {
        let Activity { run, task, pending_inputs, logs, events, cursor, more } = activity;
        // A cursor behind the end is the end.
        self.cursor.logs = self.cursor.logs.min(cursor.logs);
        self.cursor.events = self.cursor.events.min(cursor.events);
        self.say(logs, events);
        self.cursor = cursor;
        if more {
            return;
        }
        self.over = run.status.is_terminal();
        let stand = json(&StandJson::new(run, task, pending_inputs));
        if self.over {
            let end = Cursor { ended: true, ..self.cursor };
            self.frames.push_back(frame("end", end, stand));
        } else if self.stand.as_ref() != Some(&stand) {
            self.frames.push_back(frame("status", self.cursor, stand.clone()).retry(RETRY));
            self.stand = Some(stand);
        }
    }

    /// Makes frames of lines and events, both in their order, and among each other by their time.
    fn say(&mut self, logs: Vec<StoredLine>, events: Vec<StoredEvent>) {
        let mut events = events.into_iter().peekable();
        for line in logs {
            while let Some(event) = events.next_if(|event| event.event.at < line.line.at) {
                self.say_event(event);
            }
            self.cursor.logs = line.seq;
            self.frames.push_back(frame("log", self.cursor, json(&LineJson::from(line))));
        }
        events.for_each(|event| self.say_event(event));
    }

    fn say_event(&mut self, event: StoredEvent) {
        self.cursor.events = event.seq;
        self.frames.push_back(frame("event", self.cursor, json(&EventJson::from(event))));
    }
}

fn frame(name: &str, cursor: Cursor, data: String) -> Event {
    Event::default().event(name).id(cursor.to_string()).data(data)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
