//! Events explained, triggers tried and fired.

use serde_json::json;

use super::{ask, contract_folder};
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

const TRIGGER: &str = "triage-new-issues";

#[tokio::test]
async fn an_event_has_its_way_told() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    assert_eq!(host.deliver("github", github(Payload::IssueOpened, "d-1")).await.status, 200);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    let told = ask(&folder, &host, &["event", "explain", &event]).await.good();
    for wanted in [
        "came by    the endpoint `github`, read by github ",
        "verified   github by env:GITHUB_WEBHOOK_SECRET\n",
        "again      once, and was recognised\n",
        "caused by  nothing here: it came from outside\n",
        &format!("{TRIGGER}  fired    {run} is completed\n"),
    ] {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
    let json = ask(&folder, &host, &["event", "explain", &event, "--json"]).await.json();
    assert_eq!(json, host.read(&format!("events/{event}/explain")).await);
    let push = host.deliver("github", github(Payload::Push, "d-2")).await.event_id(202);
    host.decided(&push).await;
    let told = ask(&folder, &host, &["event", "explain", &push]).await.good();
    assert!(told.contains("none: nothing is defined here for `github.push`\n"), "{told}");
    assert!(told.contains(&format!("{TRIGGER}  it listens to `github.issues`\n")), "{told}");
}

#[tokio::test]
async fn a_trigger_is_tried() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let code = async |args: &[&str]| {
        let mut command = folder.hillock(args);
        let output = command.env("HILLOCK_URL", &host.url).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    host.decided(&event).await;
    let (status, out, _) = code(&["trigger", "test", TRIGGER, "--event", &event]).await;
    assert_eq!(status, 0, "{out}");
    assert!(
        out.contains("would_fire\n") && out.contains("\nPrompt\nTriage issue #42 in "),
        "{out}"
    );

    let shown = ask(&folder, &host, &["event", "show", &event, "--json"]).await.good();
    folder.write("event.json", &shown);
    let file = |name: &'static str| ["trigger", "test", TRIGGER, "--json", "--file", name];
    let (status, out, _) = code(&file("event.json")).await;
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &told["outcome"]), (0, &json!("would_fire")));

    folder.write("closed.json", r#"{"kind": "github.issues", "data": {"action": "closed"}}"#);
    let (status, out, _) = code(&file("closed.json")).await;
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, &told["outcome"], &told["prompt"]), (1, &json!("filtered"), &json!(null)));

    folder.write("bad.json", r#"{"kind": "GitHub"}"#);
    for (args, wanted) in [
        (&file("bad.json")[..], "envelope.kind: "),
        (&file("missing.json"), "cannot read missing.json"),
        (&["trigger", "test", "nobody", "--event", &event], "there is no such trigger"),
    ] {
        let (status, out, said) = code(args).await;
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
        assert!(said.starts_with("error: ") && said.contains(wanted), "{said}");
    }
    assert_eq!(host.items("runs").await.len(), 1, "only the event's own");
}

#[tokio::test]
async fn a_trigger_is_fired() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueClosed, "d-1")).await.event_id(202);
    assert_eq!(host.decided(&event).await["decisions"][0]["outcome"], "filtered");
    let run = ask(&folder, &host, &["trigger", "fire", TRIGGER, "--event", &event]).await.good();
    let run = host.run_with_status(run.trim(), "completed").await;
    assert_eq!((&run["event_id"], &run["causes"]), (&json!(null), &json!([event])));
    let said = ask(&folder, &host, &["trigger", "fire", TRIGGER]).await.bad();
    assert!(said.contains("the template has no prompt for this"), "{said}");
}
