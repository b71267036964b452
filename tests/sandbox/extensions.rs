//! Extensions that misbehave, and what they have of the outside.

use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hillock::config::Limits;
use hillock::sandbox::{
    Fetch, Fetched, HttpError, HttpRequest, HttpResponse, Kind, Notice, Poll, PollRefusal, Polled,
    Sandbox, SandboxError, State,
};
use serde_json::json;
use tokio::time::timeout;

use super::{acme, at, check_error, load, mode, name, report, strict};
use crate::hostile::MISDEEDS;

const HOSTILE: &str = "hostile-extension";

type Answer = Result<Result<Polled, PollRefusal>, SandboxError>;

/// What an extension meets outside.
struct Web<F>(F);

impl<F: Fn(HttpRequest) -> Fetched + Send + Sync> Fetch for Web<F> {
    fn fetch(&self, request: HttpRequest) -> Fetched {
        self.0(request)
    }
}

fn web(fetch: impl Fn(HttpRequest) -> Fetched + Send + Sync + 'static) -> Arc<dyn Fetch> {
    Arc::new(Web(fetch))
}

fn answering(answer: Result<HttpResponse, HttpError>) -> Arc<dyn Fetch> {
    web(move |_| Box::pin(ready(answer.clone())))
}

fn page(bytes: usize) -> HttpResponse {
    HttpResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: vec![b'x'; bytes].into(),
        url: "https://example.com/end".to_owned(),
    }
}

/// There is nobody out there.
fn nobody() -> Arc<dyn Fetch> {
    web(|request| panic!("nobody was to be asked for {request:?}"))
}

async fn polled(
    sandbox: &Sandbox,
    with: &str,
    cursor: Option<&str>,
    state: State,
    fetch: Arc<dyn Fetch>,
) -> Answer {
    let poll = Poll {
        name: name("feed"),
        config: json!({ "mode": with, "url": "https://example.com/" }).to_string().into(),
        cursor: cursor.map(str::to_owned),
        now: at(),
    };
    sandbox.poll(&name(HOSTILE), &acme(), poll, state, fetch).await
}

async fn poll(with: &str, fetch: Arc<dyn Fetch>) -> Answer {
    polled(strict(), with, None, State::new(), fetch).await
}

/// What a poll that reports has to say.
async fn reported(with: &str, fetch: Arc<dyn Fetch>) -> String {
    report(&poll(with, fetch).await.unwrap().unwrap().signals)
}

#[tokio::test]
async fn every_limit_names_itself() {
    let misdeeds = MISDEEDS.iter().filter(|(misdeed, _)| *misdeed != "sleep");
    for (misdeed, wanted) in misdeeds.chain(&[("host-calls", "host call limit")]) {
        check_error(poll(misdeed, nobody()).await, misdeed, wanted);
    }
    let nothing = Polled {
        signals: vec![],
        state: State::new(),
        cursor: None,
        next_delay: None,
        more: false,
    };
    assert_eq!(poll("ok", nobody()).await.unwrap(), Ok(nothing));
}

#[tokio::test]
async fn what_is_fetched_goes_through_the_caller() {
    let echo = web(|request| {
        let wanted = HttpRequest {
            method: "GET".to_owned(),
            url: "https://example.com/".to_owned(),
            headers: vec![("x-hostile".to_owned(), "yes".to_owned())],
            body: None,
        };
        assert_eq!(request, wanted);
        Box::pin(ready(Ok(page(3))))
    });
    assert_eq!(reported("fetch", echo).await, "status=200 bytes=3 type=Some(\"text/plain\")");
    for (error, words) in [
        (HttpError::Denied("add `egress`".to_owned()), "not granted: add `egress`"),
        (HttpError::InvalidRequest("no".to_owned()), "the request cannot be sent: no"),
        (HttpError::Timeout, "the server took too long"),
        (HttpError::TooLarge(5), "the response has more than 5 bytes"),
        (HttpError::Failed("reset".to_owned()), "reset"),
    ] {
        assert_eq!(reported("fetch", answering(Err(error))).await, words);
    }
}

#[tokio::test]
async fn a_poll_fetches_so_often_and_no_more() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let fetch = web(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(Ok(page(0))))
    });
    check_error(poll("fetch-many", fetch).await, "fetch-many", "fetch limit (16)");
    assert_eq!(asked.load(Ordering::Relaxed), 16);
}

#[tokio::test]
async fn what_is_fetched_counts_as_the_guests_memory() {
    let fetch = answering(Ok(page(100 * 1024 * 1024)));
    check_error(poll("fetch", fetch).await, "100 MiB", "memory limit");
}

/// Longer than the guest may compute, that is.
#[tokio::test]
async fn waiting_does_not_count_as_computing() {
    let time = Duration::from_millis(200);
    let sandbox = load(Limits { time, ..Limits::default() }, &["extension"]).unwrap();
    let slow = web(move |_| {
        Box::pin(async move {
            tokio::time::sleep(2 * time).await;
            Ok(page(1))
        })
    });
    let found = polled(&sandbox, "fetch", None, State::new(), slow).await.unwrap().unwrap();
    assert!(report(&found.signals).starts_with("status=200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn computing_counts_after_waiting_as_before() {
    let fetch = || answering(Ok(page(1)));
    check_error(poll("fetch-loop", fetch()).await, "time", "time limit (1500 ms)");
    let limits = Limits { fuel: 5_000_000, time: Duration::from_secs(3600), ..Limits::default() };
    let sandbox = load(limits, &["extension"]).unwrap();
    let answer = polled(&sandbox, "fetch-loop", None, State::new(), fetch()).await;
    check_error(answer, "fuel", "fuel limit (5000000)");
}

/// More polls than there may be calls at once, and all that were let in wait.
#[tokio::test]
async fn who_waits_keeps_nobody_waiting_and_can_be_left() {
    let limits = Limits::default();
    let sandbox = load(limits, &["extension", "hook"]).unwrap();
    let forever = || web(|_| Box::pin(pending()));
    let polls = (0..65).map(|_| polled(&sandbox, "fetch", None, State::new(), forever()));
    let polls = futures_util::future::join_all(polls);
    let notice = Notice {
        id: "1".to_owned(),
        point: "run.failed".to_owned(),
        at: at(),
        data: "{}".to_owned(),
        config: mode("state"),
    };
    let neighbour = async { sandbox.notice(&name("hostile-hook"), &acme(), notice).await };
    tokio::select! {
        biased;
        _ = polls => panic!("the polls wait"),
        signals = neighbour => assert_eq!(report(&signals.unwrap()), "calls=1"),
    }
    let found = polled(&sandbox, "fetch", None, State::new(), answering(Ok(page(1))));
    let found = timeout(Duration::from_secs(20), found).await.expect("the places are free again");
    assert!(report(&found.unwrap().unwrap().signals).starts_with("status=200"));
}

#[tokio::test]
async fn an_instance_serves_one_poll() {
    for _ in 0..2 {
        assert_eq!(reported("state", nobody()).await, "calls=1");
    }
}

#[tokio::test]
async fn an_extension_has_the_time_and_nothing_else() {
    assert_eq!(reported("clock", nobody()).await, "late=true");
    let seen = reported("files", nobody()).await;
    assert!(seen.ends_with("network=denied") && seen.contains("environment=empty"), "{seen}");
}

#[tokio::test]
async fn a_poll_goes_on_from_the_last() {
    let count = |state| polled(strict(), "count", None, state, nobody());
    let first = count(State::new()).await.unwrap().unwrap();
    let second = count(first.state).await.unwrap().unwrap();
    assert_eq!(report(&second.signals), "count=2");

    let page = polled(strict(), "page", Some("7"), State::new(), nobody()).await.unwrap().unwrap();
    assert_eq!(page.cursor.as_deref(), Some("7+1"));
    assert_eq!((page.next_delay, page.more), (Some(Duration::from_secs(5)), true));
}

#[tokio::test]
async fn refusals_say_whether_to_come_again() {
    for (with, wanted) in [
        ("retry", PollRefusal::Retry("later".to_owned())),
        ("count-retry", PollRefusal::Retry("after 1".to_owned())),
        ("failed", PollRefusal::Failed("never".to_owned())),
        ("invalid-config", PollRefusal::InvalidConfig("not so".to_owned())),
    ] {
        assert_eq!(poll(with, nobody()).await.unwrap(), Err(wanted));
    }
    for (with, wanted) in [
        ("cursor", "cursor limit (16384 bytes)"),
        ("cursor-nul", "refused: its cursor"),
        ("forge", "kinds below `ext`"),
    ] {
        check_error(poll(with, nobody()).await, with, wanted);
    }
}

#[tokio::test]
async fn a_check_asks_nobody() {
    let found =
        strict().check_config(Kind::ExtensionSource, &name(HOSTILE), "{}", &acme()).await.unwrap();
    let said = "url: not granted: nothing is fetched while a configuration is checked at 0";
    assert_eq!(found[0].to_string(), said);
}
