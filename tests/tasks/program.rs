//! Tasks through the program, with real agents: a conversation keeps its order whatever dies, and
//! programs that ignore signals are interrupted all the same.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::process::Process;
use crate::harness::wait;

on_both_databases!(
    fifty_follow_ups_keep_their_order,
    fifty_follow_ups_keep_their_order_when_the_worker_dies,
    an_interruption_ends_a_program_that_ignores_signals,
    a_job_hands_its_task_over,
);

/// Writes down its prompt when it begins and when it ends, and stops for nothing.
const DEAF: &str = "trap '' TERM INT HUP; read -r prompt; echo begin $prompt >> book; \
                    until [ -e go ]; do sleep 0.02; done; echo end $prompt >> book";

fn config(script: &str, more: &str) -> String {
    let script = Value::from(script);
    format!(
        "agents = [{{ name = \"agent\" }}]\n{more}\n\
         [worker]\ncancel_grace = \"300ms\"\n\
         [[worker.agents]]\nname = \"agent\"\ndir = \".\"\ncommand = [\"sh\", \"-c\", {script}]\n"
    )
}

async fn task(host: &Host, message: &str) -> String {
    let body = json!({ "agent": "agent", "message": message });
    let answer = host.send(Method::POST, "tasks", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn give(host: &Host, task: &str, mode: &str, text: &str) -> Value {
    let body = json!({ "text": text, "mode": mode });
    let answer = host.send(Method::POST, &format!("tasks/{task}/input"), &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn task_with_status(host: &Host, id: &str, status: &str) -> Value {
    let path = format!("tasks/{id}");
    let deadline = std::time::Duration::from_secs(180);
    wait::within(deadline, &format!("{id} to be {status}"), async || {
        let task = host.read(&path).await;
        (task["status"] == status).then_some(task)
    })
    .await
}

async fn book(folder: &Folder, line: &str) {
    wait::until(&format!("the line {line:?}"), async || {
        folder.read("book")?.lines().any(|written| written == line).then_some(())
    })
    .await;
}

async fn fifty_follow_ups_keep_their_order(database: Database) {
    let folder = Folder::new(database, &config(DEAF, "")).await;
    let host = folder.serve().await;
    let id = task(&host, "0").await;
    book(&folder, "begin 0").await;
    for n in 1..=50 {
        assert_eq!(give(&host, &id, "followup", &n.to_string()).await["outcome"], "queued");
    }
    folder.write("go", "");
    let done = task_with_status(&host, &id, "done").await;
    let runs = done["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 51);
    assert!(runs.iter().all(|run| run["status"] == "completed"), "{runs:?}");
    let wanted: String = (0..=50).map(|n| format!("begin {n}\nend {n}\n")).collect();
    assert_eq!(folder.read("book").unwrap(), wanted, "in order, and never two at once");
    let session = host.read(&format!("sessions/{id}")).await;
    assert_eq!((&session["state"], &session["lease"]), (&json!("idle"), &Value::Null));
    assert_eq!(session["runs"].as_array().unwrap().len(), 51);
}

/// The worker is a process of its own; what it had is begun again, and nothing of the conversation
/// overtakes it.
async fn fifty_follow_ups_keep_their_order_when_the_worker_dies(database: Database) {
    let script = "read -r prompt; echo begin $prompt >> book; \
                  if [ $prompt = 20 ] && [ ! -e died ]; then touch there; sleep 1000; fi; \
                  echo end $prompt >> book";
    let at_host = Folder::new(database, "agents = [{ name = \"agent\" }]").await;
    let at_worker = Folder::new(Database::sqlite(), &config(script, "")).await;
    let host = at_host.serve().await;
    let id = task(&host, "0").await;
    for n in 1..=50 {
        give(&host, &id, "followup", &n.to_string()).await;
    }
    let start = || {
        let mut command = at_worker.hillock(&["worker", "--config", "hillock.toml"]);
        command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", &host.key);
        Process::start(command, &at_worker.path().join("worker.log"))
    };
    let mut worker = start();
    book(&at_worker, "begin 20").await;
    worker.kill().await;
    at_worker.write("died", "");
    let _worker = start();
    task_with_status(&host, &id, "done").await;
    let wanted: String = (0..=50)
        .map(|n| match n {
            20 => "begin 20\nbegin 20\nend 20\n".to_owned(),
            n => format!("begin {n}\nend {n}\n"),
        })
        .collect();
    assert_eq!(at_worker.read("book").unwrap(), wanted);
}

async fn an_interruption_ends_a_program_that_ignores_signals(database: Database) {
    let folder = Folder::new(database, &config(DEAF, "")).await;
    let host = folder.serve().await;
    let id = task(&host, "first").await;
    book(&folder, "begin first").await;
    // It takes nothing while it works: what is steered waits.
    assert_eq!(give(&host, &id, "steer", "steered").await["outcome"], "queued");
    let given = give(&host, &id, "interrupt", "instead").await;
    assert_eq!(given["outcome"], "interrupted");
    assert_eq!(given["run_id"], given["for_run_id"]);
    book(&folder, "begin instead").await;
    let run = given["run_id"].as_str().unwrap();
    wait::until("the second attempt", async || {
        (host.read(&format!("runs/{run}")).await["attempt"] == 2).then_some(())
    })
    .await;
    folder.write("go", "");
    task_with_status(&host, &id, "done").await;
    let wanted = "begin first\nbegin instead\nend instead\nbegin steered\nend steered\n";
    assert_eq!(folder.read("book").unwrap(), wanted);
    let again = give(&host, &id, "followup", "again").await;
    assert_eq!(again["outcome"], "restarted");
    book(&folder, "end again").await;
    let task = task_with_status(&host, &id, "done").await;
    assert_eq!(task["run_id"], again["run_id"]);
}

async fn a_job_hands_its_task_over(database: Database) {
    let more = "jobs = [{ name = \"nightly\", agent = \"agent\", schedule = { every = \"1h\" }, \
                task = { title = \"Nightly\", description = \"look\" } }]";
    let folder = Folder::new(database, &config(DEAF, more)).await;
    let host = folder.serve().await;
    let answer = host.post("jobs/nightly/trigger").await;
    let run = answer.json()["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    book(&folder, "begin look").await;
    let delegated = host.read(&format!("runs/{run}")).await;
    assert_eq!(delegated["status"], "delegated");
    let id = delegated["task_id"].as_str().unwrap();
    assert_eq!(host.read(&format!("tasks/{id}")).await["label"], "Nightly");
    // What the job's run is told is told to its task.
    let body = json!({ "text": "more" });
    let given = host.send(Method::POST, &format!("runs/{run}/input"), &body).await.json();
    assert_eq!(
        (&given["outcome"], &given["for_run_id"]),
        (&json!("queued"), &delegated["task_run_id"])
    );
    folder.write("go", "");
    task_with_status(&host, id, "done").await;
    host.run_with_status(&run, "completed").await;
    assert_eq!(folder.read("book").unwrap(), "begin look\nend look\nbegin more\nend more\n");
}
