//! The worker inside the host takes its programs from the configuration as it is now.

use serde_json::Value;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::senders::Delivery;
use crate::harness::wait;

/// Two agents, each with an endpoint and a trigger of its name.
const AGENTS: &str = r#"
agents = [{ name = "one" }, { name = "two" }]
endpoints = [{ slug = "one", verification = "none" }, { slug = "two", verification = "none" }]
triggers = [
    { name = "one", event = "webhook", endpoint = "one", agent = "one", prompt = "x" },
    { name = "two", event = "webhook", endpoint = "two", agent = "two", prompt = "x" },
]
"#;

fn with_programs(worker: &str, programs: &[(&str, &str)]) -> String {
    let program = |(agent, script): &(&str, &str)| {
        let script = Value::from(*script);
        format!(
            "[[worker.agents]]\nname = \"{agent}\"\ndir = \".\"\ncommand = [\"sh\", \"-c\", {script}]\n"
        )
    };
    let programs: String = programs.iter().map(program).collect();
    format!("{AGENTS}\n[worker]\n{worker}\n{programs}")
}

async fn run(host: &Host, agent: &str) -> String {
    let event = host.deliver(agent, Delivery::new(&[], b"{}")).await.event_id(202);
    host.run_of(&event).await
}

async fn reload(host: &Host) -> Value {
    let answer = host.post("config/reload").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn wrote(host: &Host, run: &str) -> Vec<String> {
    host.run_with_status(run, "completed").await;
    host.logs(run).await.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn a_new_program_needs_no_restart() {
    let folder = Folder::new(Database::sqlite(), AGENTS).await;
    let host = folder.serve().await;
    let first = run(&host, "one").await;
    assert_eq!(
        host.read(&format!("runs/{first}")).await["waiting"]["reasons"][0]["code"],
        "no_worker"
    );

    // The first worker there is.
    let waits = "touch began; until [ -e go ]; do sleep 0.02; done; echo as it began";
    folder.write("hillock.toml", &with_programs("", &[("one", waits)]));
    assert_eq!(reload(&host).await["restart_needed"], serde_json::json!([]));
    wait::until("the program to begin", async || folder.read("began")).await;

    // Another program, and a changed one: what runs goes on.
    let second = run(&host, "two").await;
    let programs = [("one", "echo changed"), ("two", "echo new")];
    folder.write("hillock.toml", &with_programs("capacity = 2", &programs));
    assert_eq!(reload(&host).await["restart_needed"], serde_json::json!([]));
    assert_eq!(wrote(&host, &second).await, ["new"]);
    folder.write("go", "");
    assert_eq!(wrote(&host, &first).await, ["as it began"]);
    let third = run(&host, "one").await;
    assert_eq!(wrote(&host, &third).await, ["changed"]);
    let worker = &host.items("workers").await[0];
    assert_eq!((&worker["capacity"], &worker["health"]), (&2.into(), &"online".into()), "{worker}");

    // What cannot be is said, and the worker goes on as it is.
    folder.write("hillock.toml", &with_programs("user = \"nobody-at-all\"", &programs));
    reload(&host).await;
    wait::until("the fault to be said", async || {
        host.process.written().contains("there is no user `nobody-at-all`").then_some(())
    })
    .await;
    let fourth = run(&host, "two").await;
    assert_eq!(wrote(&host, &fourth).await, ["new"]);

    // Without any, the worker stays until the next start.
    folder.write("hillock.toml", AGENTS);
    assert_eq!(reload(&host).await["restart_needed"], serde_json::json!(["worker"]));
}
