//! A running host, and what its API says.

use std::fs;

use reqwest::Method;
use serde_json::Value;

use super::client::{Answer, http};
use super::folder::Folder;
use super::process::Process;
use super::senders::Delivery;
use super::wait;

pub(crate) struct Host {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

impl Host {
    /// The host once it is ready.
    pub(crate) async fn ready(folder: &Folder, mut process: Process) -> Self {
        let http = http();
        let url = wait::until("the host to be ready", async || {
            assert!(!process.has_ended(), "the host has ended");
            let url = fs::read_to_string(folder.data_dir().join("address")).ok()?;
            let url = url.trim().to_owned();
            let answer = Answer::try_of(http.get(format!("{url}/readyz"))).await.ok()?;
            (answer.status == 200).then_some(url)
        })
        .await;
        let key = fs::read_to_string(folder.data_dir().join("admin.key")).unwrap();
        Self { process, url, key: key.trim().to_owned(), http }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Posts what a sender made to a path below `/webhooks`.
    pub(crate) async fn deliver(&self, path: &str, delivery: Delivery) -> Answer {
        Answer::of(self.delivery(path, delivery)).await
    }

    pub(crate) fn delivery(&self, path: &str, delivery: Delivery) -> reqwest::RequestBuilder {
        let url = format!("{}/webhooks/{path}", self.url);
        self.http.post(url).headers(delivery.headers).body(delivery.body)
    }

    /// What the API answers to a `GET`, with the admin's key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let url = format!("{}/api/v1/{path}", self.url);
        Answer::of(self.http.get(url).bearer_auth(&self.key)).await
    }

    pub(crate) async fn post(&self, path: &str) -> Answer {
        let url = format!("{}/api/v1/{path}", self.url);
        Answer::of(self.http.post(url).bearer_auth(&self.key)).await
    }

    /// What the API answers to this content.
    pub(crate) async fn send(&self, method: Method, path: &str, content: &Value) -> Answer {
        Answer::of(self.request(method, path).json(content)).await
    }

    /// A request to the API, with the admin's key.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.key)
    }

    /// What the API has there.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Every item of a listing, over all its pages.
    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        let mut items = vec![];
        let mut cursor = String::new();
        loop {
            let page = self.read(&format!("{path}?limit=200{cursor}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// The event, once every trigger has decided.
    pub(crate) async fn decided(&self, id: &str) -> Value {
        self.decided_in(id, "").await
    }

    /// The same, for an event of a workspace.
    pub(crate) async fn decided_in(&self, id: &str, workspace: &str) -> Value {
        let path = format!("events/{id}?workspace={workspace}");
        wait::until("an event's decisions", async || {
            let event = self.read(&path).await;
            (!event["activated_at"].is_null()).then_some(event)
        })
        .await
    }

    /// The one run that the event led to.
    pub(crate) async fn run_of(&self, event_id: &str) -> String {
        let event = self.decided(event_id).await;
        let decisions = event["decisions"].as_array().unwrap();
        let runs: Vec<_> = decisions.iter().filter_map(|d| d["run_id"].as_str()).collect();
        assert_eq!(runs.len(), 1, "{decisions:?}");
        runs[0].to_owned()
    }

    /// The run, once it has this status.
    pub(crate) async fn run_with_status(&self, id: &str, status: &str) -> Value {
        let path = format!("runs/{id}");
        wait::until(&format!("{id} to be {status}"), async || {
            let run = self.read(&path).await;
            let now = run["status"].as_str().unwrap();
            let ended = ["completed", "failed", "canceled"].contains(&now);
            assert!(now == status || !ended, "{id} is {now}, and will not be {status}: {run}");
            (now == status).then_some(run)
        })
        .await
    }

    /// What the run has written so far: the stream and the text of each line.
    pub(crate) async fn logs(&self, id: &str) -> Vec<(String, String)> {
        let page = self.read(&format!("runs/{id}/logs?limit=200")).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let lines = page["logs"].as_array().unwrap().iter();
        lines.map(|line| (text(&line["stream"]), text(&line["text"]))).collect()
    }

    /// Waits for the run to write a line.
    pub(crate) async fn line(&self, id: &str, wanted: &str) {
        wait::until(&format!("the line {wanted:?} of {id}"), async || {
            self.logs(id).await.iter().any(|(_, text)| text == wanted).then_some(())
        })
        .await;
    }
}
