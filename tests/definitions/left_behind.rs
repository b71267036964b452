//! Who is left without what it names: said, asked about, and failing at once.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::{OPEN, create, delete, paths, trigger};
use crate::harness::components;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(who_would_be_left_behind_is_asked_about, a_run_without_its_agent_fails_at_once);

const WITHOUT: &str = "agents = [{ name = \"b\" }]";

async fn who_would_be_left_behind_is_asked_about(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let mut host = folder.serve().await;
    let mut listens = trigger("listens");
    listens["endpoint"] = "open".into();
    create(&host, "triggers", &listens).await;
    let job =
        json!({ "name": "j", "schedule": { "cron": "0 0 1 1 *" }, "prompt": "x", "agent": "a" });
    create(&host, "jobs", &job).await;
    let task = json!({ "agent": "a", "message": "work" });
    let task = create(&host, "tasks", &task).await["id"].as_str().unwrap().to_owned();

    folder.write("hillock.toml", WITHOUT);
    let refused = host.post("config/reload").await;
    assert_eq!(refused.problem(409), "in_use", "{refused:?}");
    let mut named = paths(&refused);
    named.sort();
    named.dedup();
    assert_eq!(named, ["job.j".to_owned(), format!("task.{task}"), "trigger.listens".to_owned()]);
    assert_eq!(host.get("agents/a").await.status, 200, "nothing has changed");
    host.process.signal(Signal::SIGHUP);
    wait::until("the signal to be refused", async || {
        let said = host.process.written();
        (said.contains("--force") && said.contains("job `j`")).then_some(())
    })
    .await;
    let output =
        folder.hillock(&["config", "reload"]).env("HILLOCK_URL", &host.url).output().await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("job.j"), "{said}");

    let output = folder
        .hillock(&["config", "reload", "--force", "--json"])
        .env("HILLOCK_URL", &host.url)
        .output()
        .await
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["left_behind"].as_array().unwrap().len(), 4, "{said}");
    assert!(said["left_behind"].as_array().unwrap().contains(&json!({
        "kind": "trigger", "name": "listens", "names": { "kind": "endpoint", "name": "open" },
    })));
    // It is said again at each start.
    assert!(host.process.stop().await.success());
    let host = folder.serve().await;
    let said = host.process.written();
    assert!(said.contains("the job `j` names the agent `a`, which is not there"), "{said}");
    assert!(said.contains("names the endpoint `open`, which is not there"), "{said}");
}

async fn a_run_without_its_agent_fails_at_once(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let host = folder.serve().await;
    let job = json!({ "name": "j", "schedule": { "cron": "0 0 1 1 *" }, "prompt": "x", "agent": "a",
                      "retry": { "max_retries": 3 }, "policy": { "ask": "always" } });
    create(&host, "jobs", &job).await;
    let task = json!({ "agent": "a", "message": "work" });
    let waits = create(&host, "tasks", &task).await;
    let waits = waits["run_id"].as_str().unwrap();
    // While something waits for it, an agent stays.
    let own = create(&host, "agents", &json!({ "name": "own" })).await;
    let asked = json!({ "agent": "own", "message": "work" });
    let asked = create(&host, "tasks", &asked).await["id"].as_str().unwrap().to_owned();
    let path = format!("agents/{}", own["id"].as_str().unwrap());
    assert_eq!(delete(&host, &path).await.problem(409), "in_use");
    host.post(&format!("tasks/{asked}/cancel")).await;
    assert_eq!(delete(&host, &path).await.status, 204);

    folder.write("hillock.toml", WITHOUT);
    let reloaded = host.send(Method::POST, "config/reload?force=true", &json!({})).await;
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    let reason = "there is no agent `a` any more (global)";
    assert_eq!(host.run_with_status(waits, "failed").await["error"], reason);
    let fired = host.post("jobs/j/trigger").await.json();
    let run = host.run_with_status(fired["id"].as_str().unwrap(), "failed").await;
    assert_eq!((&run["error"], &run["attempt"]), (&json!(reason), &json!(0)));
}

/// A plugin stays until the next start, and whoever names it would fail from then on.
#[tokio::test]
async fn who_names_a_plugin_that_goes_is_asked_about() {
    let wasm = components::folder().join("hostile_pre_fire.wasm");
    let plugin =
        format!("[[plugins]]\nname = \"hostile-pre-fire\"\nversion = \"1\"\npath = {wasm:?}\n");
    let folder = Folder::new(Database::sqlite(), &format!("{OPEN}{plugin}")).await;
    let host = folder.serve().await;
    let hook = json!({ "name": "guard", "points": ["trigger.pre_fire"],
                       "component": "hostile-pre-fire", "config": { "mode": "ok" } });
    create(&host, "hooks", &hook).await;
    create(&host, "triggers", &trigger("plain")).await;

    // Whatever else the file changes is not taken, either.
    folder.write("hillock.toml", &OPEN.replace("\"a\" }", "\"a\" }, { name = \"new\" }"));
    let refused = host.post("config/reload").await;
    assert_eq!(
        (refused.problem(409), paths(&refused)),
        ("in_use".to_owned(), vec!["hook.guard".to_owned()])
    );
    assert!(refused.body.contains("hostile-pre-fire"), "{refused:?}");
    assert_eq!(host.get("agents/new").await.status, 404, "nothing has changed");
    let said = async |args: &[&str]| {
        let mut command = folder.hillock(args);
        command.env("HILLOCK_URL", &host.url).output().await.unwrap()
    };
    let output = said(&["config", "reload"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("hook.guard"), "{stderr}");

    let output = said(&["config", "reload", "--force", "--json"]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = json!({ "kind": "plugin", "name": "hostile-pre-fire" });
    assert_eq!(told["left_behind"], json!([{ "kind": "hook", "name": "guard", "names": names }]));
    assert_eq!((&told["restart_needed"], &told["created"]), (&json!(["plugins"]), &json!(1)));
    assert_eq!(host.get("agents/new").await.status, 200);
}
