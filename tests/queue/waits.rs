//! Why something waits, fails at once or was canceled is said, and it is true.

use serde_json::{Value, json};

use super::{commands, deliver, folder, id};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    what_waits_for_approval_is_blocked,
    who_called_it_off_is_said,
    what_begins_again_says_so_in_its_log,
    limits_are_shown_where_they_act,
);

async fn say(folder: &Folder, host: &Host, args: &[&str]) -> (bool, String, String) {
    let output = folder.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn what_waits_for_approval_is_blocked(database: Database) {
    let folder = folder(database, "policy = { ask = \"always\" }", "").await;
    let host = folder.serve().await;
    let body = json!({ "agent": "agent", "message": "work" });
    let task = host.send(reqwest::Method::POST, "tasks", &body).await.json();
    assert_eq!(task["status"], "blocked");
    let (task, run) = (id(&task).to_owned(), task["run_id"].as_str().unwrap().to_owned());
    let listed = async |path: &str| {
        let items = host.read(path).await["items"].as_array().unwrap().clone();
        items.iter().map(|item| id(item).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(host.read(&format!("runs/{run}")).await["status"], "blocked");
    assert_eq!(listed("runs?status=blocked").await, [run.as_str()]);
    assert_eq!(listed("tasks?status=blocked").await, [task.as_str()]);
    assert!(listed("runs?status=scheduled").await.is_empty());
    assert!(listed("tasks?status=queued").await.is_empty());
    assert!(listed("runs?status=blocked&workspace=acme").await.is_empty());
    let activity = host.read(&format!("runs/{run}/activity")).await;
    assert_eq!(
        (&activity["run"]["status"], &activity["task"]["status"]),
        (&json!("blocked"), &json!("blocked"))
    );
    let (good, out, err) = say(&folder, &host, &["run", "list", "--status", "blocked"]).await;
    assert!(good && out.contains(&run), "{out} {err}");
    // It is told more, and the first is let out: what is behind it does not count.
    let input = json!({ "text": "more" });
    host.send(reqwest::Method::POST, &format!("tasks/{task}/input"), &input).await;
    let command = host.read(&format!("commands?run_id={run}")).await["items"][0].clone();
    host.post(&format!("commands/{}/approve", id(&command))).await;
    assert_eq!(host.read(&format!("tasks/{task}")).await["status"], "queued");
    assert_eq!(host.read(&format!("runs/{run}")).await["status"], "scheduled");
}

async fn who_called_it_off_is_said(database: Database) {
    let script = Value::from("touch began; sleep 1000");
    let worker = format!(
        "[worker]\ncancel_grace = \"100ms\"\n[[worker.agents]]\nname = \"agent\"\n\
         dir = \".\"\ncommand = [\"sh\", \"-c\", {script}]\n"
    );
    let folder = folder(database, "concurrency = 1", &worker).await;
    let host = folder.serve().await;
    let first = deliver(&host, "").await;
    let running = host.run_of(&first).await;
    host.run_with_status(&running, "running").await;
    let second = deliver(&host, "").await;
    let waits = host.run_of(&second).await;
    host.post(&format!("runs/{waits}/cancel")).await;
    host.post(&format!("runs/{running}/cancel")).await;
    for run in [waits, running] {
        let run = host.run_with_status(&run, "canceled").await;
        let error = run["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("called off by key key_"), "{run}");
    }
    let body = json!({ "agent": "agent", "message": "work" });
    let task = host.send(reqwest::Method::POST, "tasks", &body).await.json();
    host.run_with_status(task["run_id"].as_str().unwrap(), "running").await;
    host.post(&format!("tasks/{}/cancel", id(&task))).await;
    let run = host.run_with_status(task["run_id"].as_str().unwrap(), "canceled").await;
    let error = run["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("its task was called off by key key_"), "{run}");
    assert_eq!(host.read(&format!("tasks/{}", id(&task))).await["error"], error);
}

async fn what_begins_again_says_so_in_its_log(database: Database) {
    // The other run of the event has the same program in the same folder.
    let script = Value::from(
        "echo tried; tried=tried-$HILLOCK_RUN_ID; [ -e $tried ] || { touch $tried; exit 1; }",
    );
    let worker = format!(
        "[[worker.agents]]\nname = \"agent\"\ndir = \".\"\n\
         command = [\"sh\", \"-c\", {script}]\n\
         [[triggers]]\nname = \"twice\"\nevent = \"webhook\"\nagent = \"agent\"\n\
         prompt = \"x\"\nretry = {{ max_retries = 1, base_delay = \"1ms\" }}\n\
         filter = {{ \"data.twice\" = \"yes\" }}\n"
    );
    let folder = folder(database, "", &worker).await;
    let host = folder.serve().await;
    let body = br#"{"twice":"yes"}"#;
    let event = host.deliver("open", crate::harness::senders::Delivery::new(&[], body)).await;
    let event = host.decided(&event.event_id(202)).await;
    let decisions = event["decisions"].as_array().unwrap();
    let twice = decisions.iter().find(|one| one["trigger"] == "twice").unwrap();
    let run = twice["run_id"].as_str().unwrap();
    let run = host.run_with_status(run, "completed").await;
    let logs = host.logs(id(&run)).await;
    let streams: Vec<&str> = logs.iter().map(|(stream, _)| stream.as_str()).collect();
    assert!(
        logs.iter().any(|(stream, text)| stream == "host" && text.contains("attempt 2")),
        "{logs:?}"
    );
    assert_eq!(streams.iter().filter(|stream| **stream == "host").count(), 1, "{logs:?}");
}

async fn limits_are_shown_where_they_act(database: Database) {
    let more = "[queue]\npending_max_per_workspace = 7\n[controllers.retention]\nenabled = false\n";
    let folder = folder(database, "", more).await;
    let host = folder.serve().await;
    deliver(&host, "").await;
    let command = wait::until("a command", async || commands(&host, "").await.pop()).await;
    let waits = host.read(&format!("commands/{}", id(&command))).await;
    let score = waits["waiting"]["score"].as_i64().unwrap();
    assert!((400..=520).contains(&score), "{waits}");
    let stats = host.read("stats").await;
    assert_eq!((&stats["pending"], &stats["pending_max"]), (&json!(1), &json!(7)));
    let (good, out, _) = say(&folder, &host, &["stats"]).await;
    assert!(good && out.contains("of 7 that may wait"), "{out}");
    let controllers = host.read("controllers").await;
    let items = controllers["items"].as_array().unwrap();
    let off: Vec<_> = items.iter().filter(|one| one["enabled"] == false).collect();
    assert_eq!(off.len(), 1, "{controllers}");
    assert_eq!(off[0]["name"], "retention");
    let (good, out, _) = say(&folder, &host, &["controller", "list"]).await;
    let line = out.lines().find(|line| line.starts_with("retention ")).unwrap_or_default();
    assert!(good && line.contains("disabled here"), "{out}");
    let metrics = host.http.get(format!("{}/metrics", host.url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("hillock_sessions_stuck{state=\"stopping\"} 0"), "{metrics}");
}
