//! Definitions by command: what the API can do, the commands can.

use serde_json::{Value, json};

use super::{ask, contract_folder};
use crate::harness::folder::Folder;
use crate::harness::host::Host;

async fn good(folder: &Folder, host: &Host, args: &[&str]) -> String {
    ask(folder, host, args).await.good()
}

async fn json_of(folder: &Folder, host: &Host, args: &[&str]) -> Value {
    ask(folder, host, &[args, &["--json"]].concat()).await.json()
}

#[tokio::test]
async fn a_job_lives_and_dies() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let create = [
        "job",
        "create",
        "nightly",
        "--cron",
        "0 9 * * 1-5",
        "--timezone",
        "Europe/Berlin",
        "--agent",
        "triager",
        "--prompt",
        "Look around",
        "--set",
        "retry.max_retries=5",
    ];
    let said = good(&folder, &host, &create).await;
    assert!(said.starts_with("job nightly created (job_"), "{said}");
    let listed = good(&folder, &host, &["job", "list"]).await;
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split("  ").map(str::trim).collect();
    let row: Vec<&str> = row.into_iter().filter(|cell| !cell.is_empty()).collect();
    let wanted = ["nightly", "cron 0 9 * * 1-5", "Europe/Berlin", "triager", "-", "yes", "dynamic"];
    assert_eq!(row, wanted);

    let patched = ["job", "patch", "nightly", "--every", "1h", "--unset", "retry"];
    let changed = json_of(&folder, &host, &patched).await;
    assert_eq!(changed["schedule"], json!({ "every": "1h", "timezone": "Europe/Berlin" }));
    assert_eq!(changed["retry"], Value::Null);
    assert_eq!(changed, host.read("jobs/nightly").await);
    let shown = good(&folder, &host, &["job", "show", "nightly"]).await;
    assert!(shown.ends_with("\nPrompt\nLook around\n"), "{shown}");

    let said = good(&folder, &host, &["job", "disable", "nightly"]).await;
    assert!(said.starts_with("job nightly disabled"), "{said}");
    let off = json_of(&folder, &host, &["job", "list", "--enabled", "false"]).await;
    assert_eq!(off["items"][0]["name"], "nightly");
    let on = json_of(&folder, &host, &["job", "enable", "nightly"]).await;
    assert_eq!(on["enabled"], true);
    let deleted = ask(&folder, &host, &["job", "delete", "nightly"]).await;
    assert_eq!((deleted.success, deleted.stderr.as_str()), (true, "job nightly deleted\n"));
    let gone = ask(&folder, &host, &["job", "show", "nightly"]).await.bad();
    assert!(gone.contains("there is no such job"), "{gone}");
}

#[tokio::test]
async fn tables_come_from_files() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    folder.write("agent.json", r#"{ "name": "reviewer" }"#);
    good(&folder, &host, &["agent", "create", "--file", "agent.json"]).await;
    folder.write(
        "trigger.toml",
        "name = \"review\"\nevent = \"github.pull_request\"\nagent = \"reviewer\"\n\
         prompt = \"Review {{data.number}}\"\n[filter]\n\"data.action\" = \"opened\"\n",
    );
    let args = ["trigger", "create", "other", "--file", "trigger.toml", "--set", "priority=high"];
    let made = json_of(&folder, &host, &args).await;
    assert_eq!((&made["name"], &made["priority"]), (&json!("other"), &json!("high")));
    assert_eq!(made["filter"], json!({ "data.action": "opened" }));
    let endpoint = [
        "endpoint",
        "create",
        "gl",
        "--source",
        "generic",
        "--secret-ref",
        "env:GITHUB_WEBHOOK_SECRET",
    ];
    let made = json_of(&folder, &host, &endpoint).await;
    assert_eq!(made["webhook"]["path"], "/webhooks/gl");
    let hook = ["hook", "create", "h", "--point", "run.failed", "--component", "lifecycle"];
    assert_eq!(json_of(&folder, &host, &hook).await["points"], json!(["run.failed"]));
    let observer = ["observer", "create", "o", "--watch", "runs"];
    assert_eq!(json_of(&folder, &host, &observer).await["watch"], "runs");
    for word in ["trigger", "endpoint", "agent", "hook", "observer", "extension", "job"] {
        let listed = json_of(&folder, &host, &[word, "list"]).await;
        let read = host.read(&format!("{word}s")).await;
        assert_eq!(listed, read, "{word}");
        good(&folder, &host, &[word, "list"]).await;
    }
}

#[tokio::test]
async fn refusals_are_said_in_full() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let args = ["job", "create", "j", "--cron", "61 * * * *", "--timezone", "Mars"];
    let said = ask(&folder, &host, &args).await.bad();
    for path in ["job.schedule.cron", "job.schedule.timezone", "job.agent", "job.prompt"] {
        assert!(said.contains(&format!("\n  {path}: ")), "{path}: {said}");
    }
    let theirs = ["trigger", "patch", "triage-new-issues", "--prompt", "x"];
    let said = ask(&folder, &host, &theirs).await.bad();
    assert!(said.contains("triggers[0]"), "{said}");
    let nothing = ask(&folder, &host, &["trigger", "patch", "triage-new-issues"]).await.bad();
    assert!(nothing.contains("nothing is to change"), "{nothing}");
}

#[tokio::test]
async fn a_host_reads_its_files_again() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let config = folder.read("hillock.toml").unwrap();
    folder.write("hillock.toml", "agents = [{ name = \"x\" }]\n[sandbox]\nfuel = 5\n");
    let reloaded = ask(&folder, &host, &["config", "reload"]).await;
    assert_eq!(reloaded.stdout, "definitions: 1 created, 0 updated, 0 unchanged, 3 deleted\n");
    let said = "what has changed in sandbox, worker takes a restart\n";
    assert_eq!(reloaded.stderr, said);
    folder.write("hillock.toml", &config.replace("github.issues", "*"));
    let refused = ask(&folder, &host, &["config", "reload", "--json"]).await.bad();
    assert!(refused.contains("triggers[0].event: `*` is not a kind"), "{refused}");
}
