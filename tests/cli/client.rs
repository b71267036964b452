//! Events, runs and triggers.

use serde_json::json;

use super::{ask, contract_folder};
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

/// A completed run with its event, and a filtered event after it.
async fn history(host: &Host) -> (String, String) {
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    let closed = host.deliver("github", github(Payload::IssueClosed, "d-2")).await.event_id(202);
    host.decided(&closed).await;
    (event, run)
}

#[tokio::test]
async fn events_are_listed_and_shown() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    assert_eq!(ask(&folder, &host, &["event", "list"]).await.stderr, "there are none\n");
    let (event, run) = history(&host).await;
    let listed = ask(&folder, &host, &["event", "list", "--kind", "github.issues"]).await.good();
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[0].starts_with("ID ") && lines[2].starts_with(&event), "{listed}");
    for none in [["--kind", "github.push"], ["--endpoint", "other"]] {
        let said = ask(&folder, &host, &[&["event", "list"][..], &none].concat()).await;
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", "there are none\n"));
    }
    let shown = ask(&folder, &host, &["event", "show", &event]).await.good();
    for wanted in [
        "verified   github by env:GITHUB_WEBHOOK_SECRET\n",
        &format!("triage-new-issues  fired {run}\n"),
        "\"action\": \"opened\",\n",
    ] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    let told = ask(&folder, &host, &["event", "show", &event, "--json"]).await.json();
    assert_eq!(told, host.read(&format!("events/{event}")).await);
}

#[tokio::test]
async fn a_listing_has_pages() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let (event, _) = history(&host).await;
    let first = ask(&folder, &host, &["event", "list", "--limit", "1"]).await;
    let said = first.stderr.strip_prefix("there are more: say the same with --cursor ").unwrap();
    let next = ["event", "list", "--limit", "1", "--json", "--cursor", said.trim()];
    let second = ask(&folder, &host, &next).await.json();
    assert_eq!(second["items"][0]["id"], json!(event));
    assert_eq!(second["next_cursor"], json!(null));
}

#[tokio::test]
async fn runs_are_listed_shown_and_read() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let (event, run) = history(&host).await;
    let list = |flags: &[&str]| [&["run", "list", "--json"][..], flags].concat().join(" ");
    for (flags, count) in [
        (&["--status", "completed"][..], 1),
        (&["--status", "failed"], 0),
        (&["--trigger", "triage-new-issues"], 1),
        (&["--trigger", "other"], 0),
        (&["--event", &event], 1),
    ] {
        let line = list(flags);
        let args: Vec<&str> = line.split(' ').collect();
        let listed = ask(&folder, &host, &args).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), count, "{flags:?}");
    }
    let listed = ask(&folder, &host, &["run", "list"]).await.good();
    assert!(listed.contains(&run) && listed.contains("completed"), "{listed}");
    let shown = ask(&folder, &host, &["run", "show", &run]).await.good();
    assert!(shown.contains("\nstatus     completed\n"), "{shown}");
    assert!(shown.contains("\nPrompt\nTriage issue #42 in "), "{shown}");
    check_logs(&folder, &host, &run).await;
}

async fn check_logs(folder: &Folder, host: &Host, run: &str) {
    let prompt = host.read(&format!("runs/{run}")).await["prompt"].as_str().unwrap().to_owned();
    let log = format!("{prompt}\ntriaged\n");
    assert_eq!(ask(folder, host, &["run", "logs", run]).await.good(), log);
    assert_eq!(ask(folder, host, &["run", "logs", run, "--after", "1"]).await.good(), "triaged\n");
    let followed = ask(folder, host, &["run", "logs", run, "--follow"]).await;
    assert!(followed.success, "{followed:?}");
    assert_eq!((followed.stdout, followed.stderr), (log, format!("{run} completed\n")));
    let lines = ask(folder, host, &["run", "logs", run, "-f", "--json"]).await.good();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [.., last, end] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&last["seq"], &last["text"]), (&json!(2), &json!("triaged")));
    assert_eq!((&end["type"], &end["run"]["status"]), (&json!("end"), &json!("completed")));
    let page = ask(folder, host, &["run", "logs", run, "--json"]).await.json();
    assert_eq!((&page["next_after"], &page["status"]), (&json!(2), &json!("completed")));
}

#[tokio::test]
async fn runs_are_canceled() {
    let folder = contract_folder().await;
    let config = folder.read("hillock.toml").unwrap();
    folder.write("hillock.toml", config.split("[[worker").next().unwrap());
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    let said = ask(&folder, &host, &["run", "cancel", &run]).await.good();
    assert_eq!(said, format!("{run} canceled\n"));
    let again = ask(&folder, &host, &["run", "cancel", &run]).await.bad();
    assert!(again.contains("the run has ended"), "{again}");
    let followed = ask(&folder, &host, &["run", "logs", &run, "-f"]).await;
    assert!(!followed.success);
    let why = format!("{run} canceled: called off by key key_");
    assert!(followed.stderr.starts_with(&why), "{}", followed.stderr);
}

#[tokio::test]
async fn triggers_are_listed_and_shown() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let listed = ask(&folder, &host, &["trigger", "list"]).await.good();
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        row,
        ["triage-new-issues", "github.issues", "-", "match", "triager", "-", "yes", "config"]
    );
    let shown = ask(&folder, &host, &["trigger", "show", "triage-new-issues"]).await.good();
    assert!(shown.contains("filter      match {\"data.action\":\"opened\"}\n"), "{shown}");
    let told = ask(&folder, &host, &["trigger", "show", "triage-new-issues", "--json"]).await;
    assert_eq!(told.json(), host.read("triggers/triage-new-issues").await);
    let listed = ask(&folder, &host, &["trigger", "list", "--json"]).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
