//! Points of the host's own life as events.

use serde_json::{Value, json};

use super::{folder, run};
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    a_failed_run_starts_a_second_agent,
    a_worker_is_announced_when_it_comes,
    nothing_is_kept_of_what_nobody_listens_to,
);

const ALL: &str = "[[triggers]]\nname = \"all\"\nevent = \"webhook\"\nagent = \"agent\"\n\
                   prompt = \"work\"\n";

async fn events_of(host: &Host, kind: &str) -> Vec<Value> {
    let path = format!("events?kind={kind}");
    host.read(&path).await["items"].as_array().unwrap().clone()
}

async fn a_failed_run_starts_a_second_agent(database: Database) {
    let more = format!(
        "{ALL}retry = {{ max_retries = 1, base_delay = \"1ms\" }}\n\
         [[triggers]]\nname = \"medic\"\nevent = \"hook.run.failed\"\nagent = \"medic\"\n\
         filter = {{ \"data.agent\" = \"agent\" }}\n\
         prompt = \"{{{{data.name}}}} failed: {{{{data.error}}}}\"\n"
    );
    let folder = folder(database, "exit 7", &more).await;
    let host = folder.serve().await;
    let failed = run(&host).await;
    let ended = host.run_with_status(&failed, "failed").await;
    assert_eq!(ended["attempt"], 2);

    let event = wait::until("the event of the failure", async || {
        events_of(&host, "hook.run.failed").await.pop()
    })
    .await;
    assert_eq!(
        (&event["source"], &event["producer"]["name"]),
        (&json!("hook"), &json!("lifecycle"))
    );
    let event_id = event["id"].as_str().unwrap();
    let second = host.run_of(event_id).await;
    let second = host.run_with_status(&second, "completed").await;
    assert_eq!(second["prompt"], "all failed: exit status 7");
    assert_eq!(second["depth"], 1);
    let event = host.read(&format!("events/{event_id}")).await;
    assert_eq!(event["envelope"]["data"]["id"], failed);
    assert_eq!(event["envelope"]["causes"], json!([failed]));
    assert_eq!(events_of(&host, "hook.run.failed").await.len(), 1, "once, after the last attempt");
}

async fn a_worker_is_announced_when_it_comes(database: Database) {
    let more = "[[triggers]]\nname = \"hello\"\nevent = \"hook.worker.*\"\nagent = \"medic\"\n\
                prompt = \"{{kind}} {{data.name}}\"\n";
    let folder = folder(database, "true", more).await;
    let host = folder.serve().await;
    let event = wait::until("the worker to be announced", async || {
        events_of(&host, "hook.worker.online").await.pop()
    })
    .await;
    let run = host.run_of(event["id"].as_str().unwrap()).await;
    let prompt = host.run_with_status(&run, "completed").await["prompt"].clone();
    assert!(prompt.as_str().unwrap().starts_with("hook.worker.online "), "{prompt}");
}

async fn nothing_is_kept_of_what_nobody_listens_to(database: Database) {
    let more = format!(
        "{ALL}[[triggers]]\nname = \"started\"\nevent = \"hook.run.started\"\nagent = \"medic\"\n\
         filter = {{ \"data.agent\" = \"agent\" }}\nprompt = \"started\"\n"
    );
    let folder = folder(database, "true", &more).await;
    let host = folder.serve().await;
    let run = run(&host).await;
    host.run_with_status(&run, "completed").await;
    wait::until("the event of its start", async || {
        events_of(&host, "hook.run.started").await.pop()
    })
    .await;
    for kind in ["hook.run.scheduled", "hook.run.completed", "hook.worker.online"] {
        assert!(events_of(&host, kind).await.is_empty(), "{kind}");
    }
}
