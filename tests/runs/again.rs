//! Runs that are done once more.

use serde_json::Value;

use super::{folder, run};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(a_run_that_has_ended_is_done_once_more);

async fn a_run_that_has_ended_is_done_once_more(database: Database) {
    let more = "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
                prompt = \"work\"\nfire_limit = { max = 1, window = \"1h\" }\n";
    let script = "echo x >> tries; [ $(wc -l < tries) -ge 2 ]";
    let folder = folder(database, script, more).await;
    let host = folder.serve().await;
    let first = run(&host).await;
    let failed = host.run_with_status(&first, "failed").await;
    let answer = host.post(&format!("runs/{first}/retry")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let second = answer.json()["id"].as_str().unwrap().to_owned();
    let done = host.run_with_status(&second, "completed").await;
    for field in ["agent", "trigger_id", "prompt", "priority", "untrusted_content", "retry"] {
        assert_eq!(done[field], failed[field], "{field}");
    }
    let causes: Vec<&str> =
        done["causes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(causes, [failed["event_id"].as_str().unwrap(), first.as_str()]);
    assert_eq!(host.read(&format!("runs/{first}")).await["status"], "failed");
    // What has been done once more may be so again; what is not here may not.
    assert_eq!(host.post(&format!("runs/{second}/retry")).await.status, 201);
    assert_eq!(host.post(&format!("runs/{second}/retry?workspace=acme")).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_done_once_more_is_refused() {
    let more = "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
                prompt = \"work\"\n";
    let folder = folder(Database::sqlite(), "echo up; sleep 60", more).await;
    let host = folder.serve().await;
    let open = run(&host).await;
    let refused = host.post(&format!("runs/{open}/retry")).await;
    assert_eq!(refused.problem(409), "run_not_ended");
    let body = serde_json::json!({ "agent": "agent", "message": "work" });
    let task = host.send(reqwest::Method::POST, "tasks", &body).await.json();
    let of_task = task["run_id"].as_str().unwrap();
    host.post(&format!("runs/{of_task}/cancel")).await;
    host.run_with_status(of_task, "canceled").await;
    let refused = host.post(&format!("runs/{of_task}/retry")).await;
    assert_eq!(refused.problem(409), "run_of_task");
}
