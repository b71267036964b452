//! `hillock controller`, and what it asks the API.

use serde_json::json;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::{on_both_databases, wait};

on_both_databases!(
    every_controller_is_listed,
    an_ordered_pass_says_what_it_did,
    an_order_that_cannot_be_is_refused,
    one_that_is_switched_off_is_not_driven,
);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    [[triggers]]
    name = "sample"
    event = "webhook"
    agent = "agent"
    prompt = "look"
    [queue]
    timeout = "10m"
"#;

/// What the command prints when it succeeds.
async fn printed(folder: &Folder, host: &Host, args: &[&str]) -> String {
    let mut command = folder.hillock(args);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn every_controller_is_listed(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let names = ["worker-health", "command-recovery", "session-reconciler", "run-recovery"];
    let names = names.iter().chain(&["inbox", "scheduler"]);
    let listed = wait::until("every first pass", async || {
        let listed = host.read("controllers").await;
        let items = listed["items"].as_array().unwrap().clone();
        items.iter().all(|one| one["passes"].as_u64().unwrap() > 0).then_some(items)
    })
    .await;
    for name in names {
        let one = listed.iter().find(|one| one["name"] == *name).expect(name);
        assert_eq!(one["last"]["result"], "success", "{one}");
        assert_eq!(one["failures"], 0);
        assert!(one["next_at"].is_string());
    }
    let printed = printed(&folder, &host, &["controller", "list"]).await;
    assert!(printed.contains("command-recovery") && printed.contains("1m"), "{printed}");
}

async fn an_ordered_pass_says_what_it_did(database: Database) {
    let folder = Folder::new(database, CONFIG).await.with_clock();
    let host = folder.serve().await;
    let fired = host.send(reqwest::Method::POST, "triggers/sample/fire", &json!({})).await;
    let run = fired.json()["run_id"].as_str().unwrap().to_owned();
    folder.lead(std::time::Duration::from_secs(601));
    host.run_with_status(&run, "failed").await;
    // Led by the clock, the regular pass may have been first; a second one finds nothing.
    let printed = printed(&folder, &host, &["controller", "run", "command-recovery"]).await;
    assert_eq!(printed, "command-recovery: nothing to do\n");
    let pass = host.post("controllers/command-recovery/run").await.json();
    assert_eq!((&pass["result"], &pass["items"]), (&json!("success"), &json!({})));
}

async fn an_order_that_cannot_be_is_refused(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    assert_eq!(host.post("controllers/nope/run").await.problem(404), "not_found");
    let refused = host.post("controllers/inbox/run?dry_run=true").await;
    assert_eq!(refused.problem(400), "invalid_parameter");
    assert_eq!(host.post("controllers/inbox/run?dry_run=maybe").await.status, 400);
}

async fn one_that_is_switched_off_is_not_driven(database: Database) {
    let off = format!("{CONFIG}\n[controllers.run-recovery]\nenabled = false\n");
    let folder = Folder::new(database, &off).await;
    let host = folder.serve().await;
    let listed = host.read("controllers").await;
    let off = listed["items"].as_array().unwrap().iter().filter(|one| one["enabled"] == false);
    let off: Vec<_> = off.map(|one| (&one["name"], &one["passes"])).collect();
    assert_eq!(off, [(&json!("run-recovery"), &json!(0))], "{listed}");
    assert_eq!(host.post("controllers/run-recovery/run").await.problem(404), "not_found");
}
