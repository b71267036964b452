//! A feed on loopback, as a web server has it: with an `ETag`, and bad days.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::wait;

/// A feed, until it is dropped.
pub(crate) struct Feed {
    pub(crate) address: String,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    now: Mutex<Now>,
    open: watch::Sender<bool>,
}

/// The feed at present.
#[derive(Default)]
struct Now {
    items: Vec<String>,
    /// What is shown instead of the items: a content type and a document.
    page: Option<(String, Vec<u8>)>,
    status: Option<u16>,
    /// The headers of each request.
    asked: Vec<HeaderMap>,
}

impl Feed {
    pub(crate) async fn start(items: &[&str]) -> Self {
        let items = items.iter().map(|item| (*item).to_owned()).collect();
        let now = Mutex::new(Now { items, ..Now::default() });
        let shared = Arc::new(Shared { now, open: watch::Sender::new(true) });
        let router = Router::new().route("/feed.xml", get(answer)).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _tasks: tasks }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.shared.now.lock().unwrap()
    }

    pub(crate) fn add(&self, item: &str) {
        self.now().items.push(item.to_owned());
    }

    /// Shows this from now on.
    pub(crate) fn show(&self, content_type: &str, document: &[u8]) {
        self.now().page = Some((content_type.to_owned(), document.to_vec()));
    }

    /// Answers with this status from now on, or as it should.
    pub(crate) fn fail(&self, status: Option<u16>) {
        self.now().status = status;
    }

    /// Lets requests wait for their answers, or answers them.
    pub(crate) fn open(&self, open: bool) {
        self.shared.open.send_replace(open);
    }

    /// One header of each request so far.
    pub(crate) fn asked(&self, header: &str) -> Vec<Option<String>> {
        let value = |headers: &HeaderMap| {
            headers.get(header).map(|value| value.to_str().unwrap().to_owned())
        };
        self.now().asked.iter().map(value).collect()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn was_asked(&self, times: usize) {
        wait::until(&format!("request {times}"), async || {
            (self.now().asked.len() >= times).then_some(())
        })
        .await;
    }

    /// The extension `news` for this feed, with more lines for its grant.
    pub(crate) fn extension(&self, grant: &str) -> String {
        let Self { address, .. } = self;
        format!(
            r#"
[[extensions]]
name = "news"
component = "rss"
interval = "5m"
config = {{ url = "http://{address}/feed.xml" }}
[[extensions.grants]]
host = "{address}"
private = true
http = true
{grant}
"#
        )
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let answer = shared.now.lock().unwrap().answer(headers);
    let mut open = shared.open.subscribe();
    open.wait_for(|open| *open).await.unwrap();
    answer
}

impl Now {
    fn answer(&mut self, headers: HeaderMap) -> Response {
        self.asked.push(headers.clone());
        if let Some(status) = self.status {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        if let Some((content_type, document)) = &self.page {
            return ([("content-type", content_type.clone())], document.clone()).into_response();
        }
        let etag = format!("\"{}\"", self.items.len());
        if headers.get("if-none-match").is_some_and(|known| known == etag.as_str()) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        // A server that shows what it was sent.
        let sent = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
        let item =
            |id: &String| format!("<item><guid>{id}</guid><title>{id} {sent}</title></item>");
        let items: String = self.items.iter().rev().map(item).collect();
        let body = format!("<rss><channel><title>News</title>{items}</channel></rss>");
        ([("etag", etag)], body).into_response()
    }
}
