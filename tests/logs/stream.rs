//! A client of server-sent events, and what a stream consists of.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{folder, host_folder, run};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;

/// How long a test waits for the next frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// One event of a stream.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) data: Value,
}

/// An open stream.
pub(super) struct Stream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl Stream {
    /// The stream of a run, behind the frame with this id.
    pub(super) async fn open(host: &Host, run: &str, last_id: Option<&str>) -> Self {
        let mut request = host.request(Method::GET, &format!("runs/{run}/stream"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.timeout(2 * PATIENCE).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, unread: vec![] }
    }

    /// The next frame; none at the stream's end, whether it was a good one or not.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let text: Vec<u8> = self.unread.drain(..end + 2).collect();
                match frame(std::str::from_utf8(&text).unwrap()) {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match piece.expect("the stream says something") {
                Ok(Some(piece)) => self.unread.extend_from_slice(&piece),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next frame of this name.
    pub(super) async fn next_of(&mut self, name: &str) -> Frame {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if frame.name == name {
                return frame;
            }
        }
    }

    /// All that is left.
    pub(super) async fn rest(mut self) -> Vec<Frame> {
        let mut frames = vec![];
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// None for a comment.
fn frame(text: &str) -> Option<Frame> {
    let field = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
    };
    let data = field("data")?;
    Some(Frame {
        name: field("event").unwrap(),
        id: field("id").unwrap(),
        data: serde_json::from_str(&data).unwrap(),
    })
}

on_both_databases!(
    a_stream_tells_all_and_then_the_end,
    what_cannot_be_streamed_is_refused,
    a_stopping_host_ends_its_streams,
    a_cursor_behind_the_end_is_the_end,
);

async fn a_stream_tells_all_and_then_the_end(database: Database) {
    let script = "echo one; until [ -e go ]; do sleep 0.05; done; echo two >&2; exit 3";
    let folder = folder(database, script, "").await;
    let host = folder.serve().await;
    let run = run(&host).await;
    host.line(&run, "one").await;
    let mut stream = Stream::open(&host, &run, None).await;
    let line = stream.next().await.unwrap();
    assert_eq!((line.id.as_str(), &line.data["text"]), ("l1-e0", &json!("one")));
    let status = stream.next().await.unwrap();
    assert_eq!((status.name.as_str(), status.id.as_str()), ("status", "l1-e0"));
    assert_eq!(status.data["run"]["status"], "running");
    assert_eq!(status.data["run"]["interaction"], "working");
    assert_eq!((&status.data["task"], &status.data["pending_inputs"]), (&Value::Null, &json!([])));
    folder.write("go", "");
    let line = stream.next_of("log").await;
    assert_eq!((&line.data["stream"], &line.data["text"]), (&json!("stderr"), &json!("two")));
    let end = stream.next_of("end").await;
    assert_eq!(end.id, "l2-e0-end");
    assert_eq!(end.data["run"]["status"], "failed");
    assert_eq!(end.data["run"]["error"], "exit status 3");
    assert!(stream.next().await.is_none());

    // Whoever has read the end is told not to come back.
    let path = format!("runs/{run}/stream");
    let request = host.request(Method::GET, &path).header("last-event-id", end.id);
    assert_eq!(Answer::of(request).await.status, 204);
    // All others hear what they missed, by the parameter too.
    let answer = host.get(&format!("{path}?last_event_id=l1-e0")).await;
    let names: Vec<_> = answer.body.lines().filter(|line| line.starts_with("event:")).collect();
    assert_eq!(names, ["event: log", "event: end"]);
}

async fn what_cannot_be_streamed_is_refused(database: Database) {
    let folder = host_folder(database).await;
    let host = folder.serve().await;
    let run = run(&host).await;
    let zeros = "0".repeat(32);
    for path in [format!("runs/run_{zeros}"), "runs/x".into(), format!("runs/{run}")] {
        let workspace = if path.ends_with(&run) { "?workspace=acme" } else { "" };
        for what in ["stream", "activity", "events", "logs"] {
            let answer = host.get(&format!("{path}/{what}{workspace}")).await;
            assert_eq!(answer.problem(404), "not_found", "{path} {what}");
        }
    }
    for (query, name) in [
        ("stream?last_event_id=12", "last_event_id"),
        ("activity?logs_after=-1", "logs_after"),
        ("activity?events_after=x", "events_after"),
        ("events?after=1.5", "after"),
        ("logs?limit=many", "limit"),
    ] {
        let answer = host.get(&format!("runs/{run}/{query}")).await;
        assert_eq!(answer.problem(400), "invalid_parameter", "{query}");
        assert_eq!(answer.json()["problems"][0]["path"], name);
    }
    let request = host.request(Method::GET, &format!("runs/{run}/stream"));
    let answer = Answer::of(request.header("last-event-id", "éé")).await;
    assert_eq!(answer.problem(400), "invalid_parameter");
    assert_eq!(answer.json()["problems"][0]["path"], "Last-Event-ID");
}

/// They are no work in hand: nobody waits for them.
async fn a_stopping_host_ends_its_streams(database: Database) {
    let folder = host_folder(database).await;
    let mut host = folder.serve().await;
    let run = run(&host).await;
    let mut stream = Stream::open(&host, &run, None).await;
    let status = stream.next_of("status").await;
    assert_eq!(status.data["run"]["status"], "scheduled");
    let (stopped, next) = tokio::join!(host.process.stop(), stream.next());
    assert!(stopped.success() && next.is_none(), "{next:?}");
    assert!(!host.process.written().contains("did not close in time"));
}

async fn a_cursor_behind_the_end_is_the_end(database: Database) {
    let folder = folder(database, "echo one; echo two", "").await;
    let host = folder.serve().await;
    let run = run(&host).await;
    host.run_with_status(&run, "completed").await;
    let page = host.read(&format!("runs/{run}/logs?after=99")).await;
    assert_eq!((&page["logs"], &page["next_after"]), (&json!([]), &json!(2)));
    let page = host.read(&format!("runs/{run}/events?after=99")).await;
    assert_eq!((&page["events"], &page["next_after"]), (&json!([]), &json!(0)));
    let batch = host.read(&format!("runs/{run}/activity?logs_after=1&events_after=99")).await;
    assert_eq!(batch["logs"][0]["text"], "two");
    assert_eq!(batch["next"], json!({ "logs_after": 2, "events_after": 0 }));
    assert_eq!((&batch["cursor"], &batch["more"]), (&json!("l2-e0"), &json!(false)));
    assert_eq!((&batch["run"]["status"], &batch["run"]["id"]), (&json!("completed"), &json!(run)));
    let frames = Stream::open(&host, &run, Some("l99-e99")).await.rest().await;
    let ids: Vec<_> = frames.iter().map(|frame| frame.id.as_str()).collect();
    assert_eq!(ids, ["l2-e0-end"]);
}
