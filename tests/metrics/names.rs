//! Names: one list for the scrape, the description, the dashboard and the alerts.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{Scrape, promtool};
use crate::contract;
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/observability");

/// A host that has done a little of everything.
async fn busy_host() -> (Folder, Host) {
    let folder = contract::folder(Database::sqlite()).await;
    let host = folder.serve().await;
    for id in ["d-1", "d-2", "d-1"] {
        let answer = host.deliver("github", github(Payload::IssueOpened, id)).await;
        let event = answer.json()["event_id"].as_str().unwrap().to_owned();
        let run = host.run_of(&event).await;
        host.run_with_status(&run, "completed").await;
        host.read(&format!("runs/{run}")).await;
    }
    host.get("events/evt_0").await;
    Answer::of(host.http.get(format!("{}/somebody's/own/path", host.url))).await;
    (folder, host)
}

/// What `--describe --json` says there is.
async fn described(folder: &Folder) -> Vec<Value> {
    let output = folder.hillock(&["metrics", "--describe", "--json"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn all_that_is_scraped_is_described() {
    let (folder, host) = busy_host().await;
    let described = described(&folder).await;
    let text = |metric: &Value, field: &str| metric[field].as_str().unwrap().to_owned();
    let known: BTreeSet<String> = described.iter().map(|metric| text(metric, "name")).collect();
    assert_eq!(known.len(), described.len(), "a name stands twice");
    let scrape = Scrape::of(&host).await;
    assert!(scrape.names().len() > 20, "{scrape:?}");
    for name in scrape.names() {
        assert!(known.contains(name), "{name} is not described");
    }
    for metric in &described {
        let (name, kind) = (text(metric, "name"), text(metric, "type"));
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(name.ends_with("_seconds"), metric["unit"] == "seconds", "{name}");
        assert!(text(metric, "help").len() > 10, "{metric}");
    }
    let plain = folder.hillock(&["metrics", "--describe"]).output().await.unwrap().stdout;
    let plain = String::from_utf8(plain).unwrap();
    for name in &known {
        assert!(plain.contains(&format!("\n{name} ")), "{name}: {plain}");
    }
    let asked = folder.hillock(&["metrics", "--url", &host.url]).output().await.unwrap();
    assert!(String::from_utf8(asked.stdout).unwrap().contains("hillock_build_info"));
}

#[tokio::test]
async fn nothing_of_anybodys_own_is_a_label() {
    let (_folder, host) = busy_host().await;
    let scrape = Scrape::of(&host).await.0;
    for prefix in ["evt_", "run_0", "cmd_", "wrk_", "trg_", "wbh_", "agt_", "ses_", "task_0"] {
        assert!(!scrape.contains(prefix), "{prefix} in\n{scrape}");
    }
    for own in ["triage", "github", "own/path", "127.0.0.1", "/webhooks/g"] {
        assert!(!scrape.contains(own), "{own} in\n{scrape}");
    }
    assert!(scrape.contains("route=\"none\",status=\"4xx\""), "{scrape}");
}

#[tokio::test]
async fn open_metrics_is_there_for_who_asks() {
    let (_folder, host) = busy_host().await;
    let request = host.http.get(format!("{}/metrics", host.url));
    let answer = Answer::of(request.header("accept", "application/openmetrics-text")).await;
    let content_type = answer.headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    assert!(answer.body.contains("# TYPE hillock_events counter\n"), "{}", answer.body);
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_a_scrape() {
    let Some(promtool) = promtool("a scrape") else { return };
    let (_folder, host) = busy_host().await;
    let mut check = tokio::process::Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut check = check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(Scrape::of(&host).await.0.as_bytes()).await.unwrap();
    drop(stdin);
    let output = check.wait_with_output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[tokio::test]
async fn promtool_accepts_the_alerts() {
    let Some(promtool) = promtool("alerts") else { return };
    let file = Path::new(FILES).join("alerts.yaml");
    let mut check = tokio::process::Command::new(promtool);
    let output = check.args(["check", "rules"]).arg(file).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn dashboard_and_alerts_name_what_there_is() {
    let folder = Folder::new(Database::sqlite(), "").await;
    let described = described(&folder).await;
    let known: BTreeSet<&str> =
        described.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    let mut used = BTreeSet::new();
    for (flag, file) in [("--dashboard", "grafana.json"), ("--alerts", "alerts.yaml")] {
        let output = folder.hillock(&["metrics", flag]).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, std::fs::read_to_string(Path::new(FILES).join(file)).unwrap());
        if flag == "--dashboard" {
            serde_json::from_str::<Value>(&text).unwrap();
        }
        let names = metrics_in(&text);
        assert!(names.len() > 10, "{names:?}");
        for name in &names {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let known = known.contains(name.as_str()) || base.is_some_and(|b| known.contains(b));
            assert!(known, "{file} names {name}, which there is not");
            used.insert(base.unwrap_or(name).to_owned());
        }
    }
    // A metric that nobody looks at is one too many.
    let unused: Vec<_> = known.iter().filter(|name| !used.contains(**name)).collect();
    assert!(unused.is_empty(), "nobody looks at {unused:?}");
}

/// The words that can only be metrics.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("hillock_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}
