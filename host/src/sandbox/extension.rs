//! What an extension is given for a poll, its way to the outside, and what it comes back with.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::Limit;
use super::limits::Exceeded;
use super::registry::Kind;
use super::signal::{Signal, State};
use crate::metrics::Metrics;
use crate::model::name::Name;
use crate::model::time::Time;

/// How many requests an extension may make in one poll.
const FETCHES_MAX: u32 = 16;

/// A turn to look for events.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The extension's name.
    pub name: Name,
    /// Its configuration, as JSON text.
    pub config: Arc<str>,
    /// Where the last successful poll ended.
    pub cursor: Option<String>,
    /// The present. The guest's `clock` goes on from it; what else it has of a clock stands still.
    pub now: Time,
}

/// What a poll found: all of it is to be kept at once, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    /// Its events.
    pub signals: Vec<Signal>,
    /// What the extension remembers from now on.
    pub state: State,
    /// Where the next poll goes on.
    pub cursor: Option<String>,
    /// How long the extension would wait before the next poll; anything from nothing to ages.
    pub next_delay: Option<Duration>,
    /// Whether there is more to be had at once.
    pub more: bool,
}

/// Why a poll found nothing that could be kept, in the extension's own words. Cursor and state stay
/// as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollRefusal {
    /// It may well go better later.
    #[error("{0}")]
    Retry(String),
    /// It will not go better until somebody changes something.
    #[error("{0}")]
    Failed(String),
    /// The configuration is not one that its check would pass.
    #[error("its configuration is invalid: {0}")]
    InvalidConfig(String),
}

/// What an extension wants to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method; whatever the extension says.
    pub method: String,
    /// The URL; whatever the extension says.
    pub url: String,
    /// Headers, in the extension's order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers, names in lower case, each as often as it was sent.
    pub headers: Vec<(String, String)>,
    /// The body, decoded. It counts towards the guest's memory.
    pub body: Bytes,
    /// The URL that answered, after all redirects.
    pub url: String,
}

/// Why it gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It is not granted; says which line of the configuration would grant it.
    #[error("not granted: {0}")]
    Denied(String),
    /// It cannot be sent.
    #[error("the request cannot be sent: {0}")]
    InvalidRequest(String),
    /// The server took too long.
    #[error("the server took too long")]
    Timeout,
    /// The response has more than this many bytes.
    #[error("the response has more than {0} bytes")]
    TooLarge(u64),
    /// The name does not resolve, the connection failed or broke.
    #[error("{0}")]
    Failed(String),
}

/// A response, or why there is none, when it is there.
pub type Fetched = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

/// The way to the outside: decides what is granted, and fetches it.
pub trait Fetch: Send + Sync {
    /// Fetches what `request` asks for, if it is granted.
    fn fetch(&self, request: HttpRequest) -> Fetched;
}

/// What an extension has of the outside during a poll.
pub(super) struct Outside {
    fetch: Arc<dyn Fetch>,
    fetches: u32,
    begin: Time,
    began: Instant,
    metrics: Metrics,
}

impl Outside {
    /// A poll begins.
    pub(super) fn new(fetch: Arc<dyn Fetch>, begin: Time, metrics: Metrics) -> Self {
        Self { fetch, fetches: 0, begin, began: Instant::now(), metrics }
    }

    /// The present.
    pub(super) fn now(&self) -> Time {
        self.begin + self.began.elapsed()
    }

    /// Counts a request that is not granted.
    pub(super) fn denied(&self) {
        self.metrics.plugins().denied(Kind::ExtensionSource.as_str());
    }

    /// Counts a request and sends it off.
    pub(super) fn fetch(&mut self, request: HttpRequest) -> Result<Fetched, Exceeded> {
        self.fetches += 1;
        if self.fetches > FETCHES_MAX {
            return Err(Exceeded(Limit::Fetches(FETCHES_MAX)));
        }
        Ok(self.fetch.fetch(request))
    }
}
