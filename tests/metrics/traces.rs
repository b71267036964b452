//! One trace from webhook to result, requests with a name, and spans for a collector.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::Method;
use serde_json::json;

use crate::contract;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github, github_signed};
use crate::harness::wait;

on_both_databases!(a_trace_reaches_from_webhook_to_program);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// The agent says which trace it is in.
const TELLING: &str = "command = [\"sh\", \"-c\", \"echo $TRACEPARENT\"]";

fn config() -> String {
    contract::CONFIG.replace("command = [\"sh\", \"-c\", \"cat; echo; echo triaged\"]", TELLING)
}

fn traced(id: &str) -> Delivery {
    github(Payload::IssueOpened, id).with("traceparent", &format!("00-{TRACE}-{SPAN}-01"))
}

/// What the run's program said of its trace: trace and span.
async fn told(host: &Host, run: &str) -> (String, String) {
    host.run_with_status(run, "completed").await;
    let (_, line) = host.logs(run).await.remove(0);
    let parts: Vec<&str> = line.split('-').collect();
    let ["00", trace, span, "01"] = parts[..] else { panic!("{line}") };
    (trace.to_owned(), span.to_owned())
}

async fn a_trace_reaches_from_webhook_to_program(database: Database) {
    let folder = Folder::new(database, &config()).await;
    let host = folder.serve().await;
    let event = host.deliver("github", traced("d-1")).await.event_id(202);
    let kept = host.decided(&event).await["envelope"]["traceparent"].as_str().unwrap().to_owned();
    assert!(kept.starts_with(&format!("00-{TRACE}-")) && !kept.contains(SPAN), "{kept}");
    let (trace, span) = told(&host, &host.run_of(&event).await).await;
    assert_eq!(trace, TRACE);
    assert!(span != SPAN && !kept.contains(&span), "{span}, {kept}");

    let mut issue = Payload::IssueOpened.json();
    issue["issue"]["number"] = json!(43);
    let untraced = github_signed(SECRET, "issues", "d-2", issue.to_string().as_bytes());
    let other = host.deliver("github", untraced).await.event_id(202);
    let (other, _) = told(&host, &host.run_of(&other).await).await;
    assert_ne!(other, TRACE);

    let task = json!({ "agent": "triager", "message": "x" });
    let request = host.request(Method::POST, "tasks").json(&task);
    let request = request.header("traceparent", format!("00-{TRACE}-{SPAN}-01"));
    let task = Answer::of(request).await.json();
    assert_eq!(told(&host, task["run_id"].as_str().unwrap()).await.0, TRACE);
}

#[tokio::test]
async fn every_request_has_a_name() {
    let folder = contract::folder(Database::sqlite()).await.env("HILLOCK_LOG_FORMAT", "json");
    let host = folder.serve().await;
    let ask = async |id: &str| {
        let request = host.request(Method::GET, "runs/run_00000000000000000000000000000000");
        Answer::of(request.header("x-request-id", id)).await
    };
    let answer = ask("mine-1").await;
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    assert_eq!(answer.json()["request_id"], "mine-1", "{answer:?}");
    let answer = ask("not one word").await;
    let made = answer.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(made.starts_with("req_"), "{made}");
    assert_eq!(answer.json()["request_id"], made.as_str());

    let forged = Delivery::new(&[("x-request-id", "forged-7")], b"{}");
    assert_eq!(host.deliver("github", forged).await.headers["x-request-id"], "forged-7");
    let log = host.process.written();
    let line = log.lines().find(|line| line.contains("not authorized")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"]["request_id"], "forged-7", "{line}");
}

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keep = |State(Self(kept)): State<Self>, body: Bytes| async move {
            kept.lock().unwrap().push(body);
        };
        let router = Router::new().route("/v1/traces", post(keep)).with_state(self.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let kept = self.0.lock().unwrap();
        let requests =
            kept.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// The first span of this name in the trace, once it is there.
    async fn span(&self, name: &str) -> Span {
        wait::until(&format!("the span {name}"), async || {
            let mut spans = self.spans().into_iter();
            spans.find(|span| span.name == name && hex::encode(&span.trace_id) == TRACE)
        })
        .await
    }
}

#[tokio::test]
async fn a_collector_gets_the_whole_trace() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let config = format!("[telemetry]\notlp_endpoint = {endpoint:?}\n{}", config());
    let folder = Folder::new(Database::sqlite(), &config).await;
    let mut host = folder.serve().await;
    let event = host.deliver("github", traced("d-1")).await.event_id(202);
    let (_, told) = told(&host, &host.run_of(&event).await).await;
    // What waits is sent before the end.
    assert!(host.process.stop().await.success());

    let request = collector.span("POST /webhooks/{last}").await;
    let activation = collector.span("activation").await;
    let program = collector.span("program").await;
    assert_eq!(hex::encode(&request.parent_span_id), SPAN);
    assert_eq!(activation.parent_span_id, request.span_id);
    assert_eq!(program.parent_span_id, activation.span_id);
    assert_eq!(hex::encode(&program.span_id), told);
    assert!(program.end_time_unix_nano >= program.start_time_unix_nano);
    let kept = collector.0.lock().unwrap().concat();
    let sent = String::from_utf8_lossy(&kept);
    for own in ["Triage issue", "Crash when", SECRET, host.key.as_str()] {
        assert!(!sent.contains(own), "{own} in a span");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_warning() {
    let config = format!("[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"\n{}", config());
    let folder = Folder::new(Database::sqlite(), &config).await;
    let mut host = folder.serve().await;
    let event = host.deliver("github", traced("d-1")).await.event_id(202);
    told(&host, &host.run_of(&event).await).await;
    assert!(host.process.stop().await.success());
    let log = host.process.written();
    assert_eq!(log.matches("failed to export spans").count(), 1, "{log}");
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    for (line, path) in [
        ("format = \"xml\"", "telemetry"),
        ("level = \"hillock=loud\"", "telemetry.level"),
        ("otlp_endpoint = \"ftp://h\"", "telemetry.otlp_endpoint"),
        ("otlp_endpoint = \"here\"", "telemetry.otlp_endpoint"),
    ] {
        let folder = Folder::new(Database::sqlite(), &format!("[telemetry]\n{line}\n")).await;
        let mut check = folder.hillock(&["config", "check", "--config", "hillock.toml"]);
        let output = check.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{line}: {said}");
        assert!(said.contains(path) || said.contains("line 2"), "{line}: {said}");
    }
}
