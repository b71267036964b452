//! The built-in component `rss`, in the sandbox, against a server on loopback.

use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::config::{EgressLimits, Limits};
use crate::egress::{Network, System};
use crate::model::egress::GrantDraft;
use crate::model::scope::Scope;
use crate::model::secret::{Secret, SecretRef};
use crate::model::time::Time;
use crate::sandbox::{Kind, Poll, PollRefusal, Polled, Sandbox, State};

/// A server that gives one answer after the other and keeps what it was asked.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(vec![])));
        let mut task = JoinSet::new();
        let kept = Arc::clone(&asked);
        task.spawn(async move {
            for answer in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    stream.read_line(&mut head).await.unwrap();
                }
                kept.lock().unwrap().push(head);
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { address, asked, _task: task }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn feed(ids: &[u32]) -> String {
    let items: String = ids.iter().map(|id| format!("<item><guid>{id}</guid></item>")).collect();
    let body = format!("<rss><channel><title>T</title>{items}</channel></rss>");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\netag: \"{length}\"\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Compiling the components takes a while; all tests share them.
static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| {
    let cache = tempfile::tempdir().unwrap();
    Sandbox::open(Limits::default(), &[], cache.path()).unwrap()
});

/// An extension with what it keeps between polls.
struct Extension {
    granted: Granted,
    url: String,
    cursor: Option<String>,
    state: State,
}

impl Extension {
    fn new(url: String, grants: Value) -> Self {
        let network = Network::open(EgressLimits::default(), Arc::new(System)).unwrap();
        let drafts: Vec<GrantDraft> = serde_json::from_value(grants).unwrap();
        let grants = drafts.into_iter().map(|draft| draft.parse().unwrap()).collect();
        let secret = |_: &SecretRef| Secret::new(b"s3cret".to_vec()).ok_or("none");
        let egress =
            Egress::new(Arc::new(network), "news".parse().unwrap(), grants, secret).unwrap();
        Self { granted: Granted::new(egress), url, cursor: None, state: State::default() }
    }

    async fn poll(&mut self) -> Result<Polled, PollRefusal> {
        let poll = Poll {
            name: "news".parse().unwrap(),
            config: json!({"url": self.url, "interval": "5m"}).to_string().into(),
            cursor: self.cursor.clone(),
            now: Time::EPOCH,
        };
        let (rss, fetch) = ("rss".parse().unwrap(), Arc::new(self.granted.clone()));
        let polled = SANDBOX.poll(&rss, &Scope::Global, poll, self.state.clone(), fetch).await;
        let polled = polled.unwrap()?;
        (self.cursor, self.state) = (polled.cursor.clone(), polled.state.clone());
        Ok(polled)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_makes_each_event_once() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n".to_owned();
    let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned();
    let server = Server::start(vec![
        feed(&[2, 1]),
        unchanged,
        busy,
        feed(&[3, 2, 1]),
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n<html/>".to_owned(),
    ])
    .await;
    let credential = json!({"header": "x-key", "secret_ref": "env:KEY", "format": "key {secret}"});
    let grants = json!([{
        "host": server.address.to_string(), "http": true, "private": true, "credential": credential,
    }]);
    let mut extension = Extension::new(format!("http://{}/feed", server.address), grants);
    let mut ids = async || {
        let polled = extension.poll().await?;
        let ids = polled.signals.iter().map(|signal| {
            assert_eq!(signal.kind.as_str(), "ext.news.item");
            signal.dedupe.clone().unwrap()
        });
        Ok::<_, PollRefusal>((ids.collect::<Vec<_>>(), polled.next_delay.unwrap().as_secs()))
    };
    let ids_of = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(ids().await, Ok((ids_of(&["1", "2"]), 300)));
    assert_eq!(ids().await, Ok((vec![], 300)));
    assert_eq!(ids().await, Ok((vec![], 60)));
    assert_eq!(ids().await, Ok((ids_of(&["3"]), 300)));
    let failed = ids().await.unwrap_err();
    assert!(
        matches!(&failed, PollRefusal::Failed(why) if why.contains("it is an HTML page")),
        "{failed}"
    );
    let asked = server.asked();
    assert!(asked.iter().all(|head| head.contains("x-key: key s3cret")), "{asked:?}");
    let conditional: Vec<bool> =
        asked.iter().map(|head| head.contains("if-none-match: \"")).collect();
    assert_eq!(conditional, [false, true, true, true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_feed_stays_within_the_limits() {
    let item = |id: u32| {
        let text = "&lt;b&gt;some&lt;/b&gt; text &amp;amp; more; ".repeat(20);
        format!(
            "<item><guid>{id}</guid><title>T{id}</title><link>https://a.b/{id}</link>\
             <pubDate>Tue, 06 Jan 2026 06:00:00 GMT</pubDate><category>c</category>\
             <description>{text}</description></item>\n"
        )
    };
    let mut items = String::new();
    for id in 0.. {
        let item = item(id);
        if items.len() + item.len() > EgressLimits::default().body_bytes - 100 {
            break;
        }
        items.push_str(&item);
    }
    let body = format!("<rss><channel>{items}</channel></rss>");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let server = Server::start(vec![head + &body]).await;
    let grants = json!([{"host": server.address.to_string(), "http": true, "private": true}]);
    let mut extension = Extension::new(format!("http://{}/feed", server.address), grants);
    assert_eq!(extension.poll().await.unwrap().signals.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_reaches_nothing_that_is_not_granted() {
    let server = Server::start(vec![feed(&[1])]).await;
    let address = server.address;
    let grant = json!([{"host": address.to_string(), "http": true}]);
    for (grants, wanted) in [
        (
            json!([]),
            format!(
                "not granted: GET http://{address}: add {{ host = \"{address}\", private = true, \
                 http = true }} to the grants of [[extensions]] name = \"news\""
            ),
        ),
        (
            grant,
            format!(
                "not granted: http://{address} has the address 127.0.0.1, which is a loopback \
                 address: add private = true to the grant host = \"{address}\" of [[extensions]] \
                 name = \"news\""
            ),
        ),
    ] {
        let mut extension = Extension::new(format!("http://{address}/feed"), grants);
        assert_eq!(extension.poll().await, Err(PollRefusal::Failed(wanted)));
    }
    assert!(server.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_checked_without_a_way_out() {
    let (rss, config) = ("rss".parse().unwrap(), r#"{"url": "nowhere", "max_items": 0}"#);
    let check = SANDBOX.check_config(Kind::ExtensionSource, &rss, config, &Scope::Global);
    let problems = check.await.unwrap();
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["url", "max_items"]);
}
