//! Tasks over HTTP and on the command line: what is refused, what is answered, what is printed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::wait;

on_both_databases!(
    a_task_is_asked_for_once_and_has_a_result,
    what_is_wrong_is_refused_and_changes_nothing,
    a_task_from_the_command_line,
    the_life_of_tasks_is_told,
);

const CONFIG: &str = r#"
    agents = [{ name = "agent" }, { name = "away" }, { name = "theirs", workspace = "acme" }]
    [[worker.agents]]
    name = "agent"
    dir = "."
    command = ["sh", "-c", "read -r prompt; echo did $prompt; [ \"$prompt\" != fail ]"]
"#;

async fn ask(host: &Host, key: Option<&str>, body: &Value) -> Answer {
    let mut request = host.request(Method::POST, "tasks").json(body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    Answer::of(request).await
}

async fn ended(host: &Host, id: &str) -> Value {
    wait::until(&format!("{id} to end"), async || {
        let task = host.read(&format!("tasks/{id}")).await;
        (!task["ended_at"].is_null()).then_some(task)
    })
    .await
}

async fn a_task_is_asked_for_once_and_has_a_result(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let body =
        json!({ "agent": "agent", "message": "work", "label": "l", "spawned_by": { "u": 1 } });
    let first = ask(&host, Some("k"), &body).await;
    assert_eq!((first.status, &first.json()["deduplicated"]), (201, &json!(false)));
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(first.json()["session"], id.as_str());
    let again = ask(&host, Some("k"), &body).await;
    assert_eq!((again.status, &again.json()["deduplicated"]), (200, &json!(true)));
    assert_eq!(again.json()["id"], id.as_str());
    let other = ask(&host, Some("k"), &json!({ "agent": "agent", "message": "else" })).await;
    assert_eq!(other.problem(422), "idempotency_mismatch");
    let done = ended(&host, &id).await;
    assert_eq!((&done["status"], &done["terms"]["spawned_by"]["u"]), (&json!("done"), &json!(1)));
    let result = host.read(&format!("tasks/{id}/result")).await;
    assert_eq!((&result["status"], &result["error"]), (&json!("done"), &Value::Null));
    assert_eq!(host.post(&format!("tasks/{id}/cancel")).await.problem(409), "task_ended");
    assert_eq!(host.post(&format!("tasks/{id}/archive")).await.status, 200);
    assert!(host.items("tasks").await.is_empty(), "what is put away is out of sight");
    let all = host.read("tasks?archived=all").await;
    assert_eq!(all["items"][0]["id"], id.as_str());

    let waits = ask(&host, None, &json!({ "agent": "away", "message": "work" })).await.json();
    let waits = waits["id"].as_str().unwrap();
    let early = host.get(&format!("tasks/{waits}/result")).await;
    assert_eq!(early.problem(409), "task_under_way");
    assert_eq!(host.post(&format!("tasks/{waits}/archive")).await.problem(409), "task_under_way");
    let canceled = host.post(&format!("tasks/{waits}/cancel")).await;
    assert_eq!((canceled.status, &canceled.json()["status"]), (200, &json!("canceled")));
}

async fn what_is_wrong_is_refused_and_changes_nothing(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let body =
        json!({ "agent": "nobody", "message": "", "timeout_ms": -1, "policy": { "ask": 1 } });
    let answer = ask(&host, Some(" "), &body).await;
    assert_eq!(answer.problem(422), "invalid_body");
    let answer = answer.json();
    let problems = answer["problems"].as_array().unwrap();
    let paths: Vec<_> = problems.iter().map(|one| one["path"].as_str().unwrap()).collect();
    for path in
        ["task.agent", "task.message", "task.timeout_ms", "task.policy.ask", "idempotency-key"]
    {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    // Another workspace's agent is nobody here.
    let theirs = json!({ "agent": "theirs", "message": "work" });
    assert_eq!(ask(&host, None, &theirs).await.problem(422), "invalid_body");
    let mine = host.send(Method::POST, "tasks?workspace=acme", &theirs).await;
    assert_eq!(mine.status, 201, "{mine:?}");
    let mine = mine.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(host.get(&format!("tasks/{mine}")).await.problem(404), "not_found");
    let input = json!({ "text": "more" });
    let there = async |path: &str| host.send(Method::POST, path, &input).await;
    assert_eq!(there(&format!("tasks/{mine}/input")).await.problem(404), "not_found");
    assert_eq!(there("tasks/nonsense/input").await.problem(404), "not_found");
    assert_eq!(there("runs/nonsense/input").await.problem(404), "not_found");
    for wrong in [json!({ "text": " " }), json!({ "text": "x", "mode": "later" }), json!(7)] {
        let path = format!("tasks/{mine}/input?workspace=acme");
        let answer = host.send(Method::POST, &path, &wrong).await;
        assert_eq!(answer.problem(422), "invalid_body", "{wrong}");
    }
    for path in
        ["tasks?status=lost", "tasks?archived=maybe", "tasks?agent=A%20B", "sessions?state=x"]
    {
        assert_eq!(host.get(path).await.problem(400), "invalid_parameter", "{path}");
    }
    assert_eq!(host.get("sessions/nobody").await.problem(404), "not_found");
    assert!(host.items("tasks").await.is_empty());
    assert_eq!(host.read("tasks?workspace=acme").await["items"].as_array().unwrap().len(), 1);
}

async fn a_task_from_the_command_line(database: Database) {
    let folder = Folder::new(database, CONFIG).await;
    let host = folder.serve().await;
    let say = async |args: &[&str]| {
        let output = folder.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (good, out, err) =
        say(&["task", "create", "work", "--agent", "agent", "--follow", "--session", "a b/c"])
            .await;
    assert!(good && out == "did work\n", "{out} {err}");
    let (good, out, _) = say(&["task", "create", "fail", "--agent", "agent", "--wait"]).await;
    assert!(!good && out.contains(" error: exit status 1"), "{out}");
    let (_, out, _) = say(&["task", "list", "--status", "done", "--json"]).await;
    let listed: Value = serde_json::from_str(&out).unwrap();
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    let (good, out, err) = say(&["task", "input", &id, "more"]).await;
    assert!(good && out.starts_with("restarted run_"), "{out} {err}");
    let run = out.trim().rsplit(' ').next().unwrap().to_owned();
    let (good, out, err) = say(&["task", "logs", "-f", &id]).await;
    assert!(good && out == "did more\n", "{out} {err}");
    host.run_with_status(&run, "completed").await;
    let (good, out, _) = say(&["run", "input", &run, "once more", "--json"]).await;
    let given: Value = serde_json::from_str(&out).unwrap();
    assert!(good && given["outcome"] == "restarted", "{out}");
    host.run_with_status(given["run_id"].as_str().unwrap(), "completed").await;
    let (good, out, _) = say(&["task", "show", &id]).await;
    assert!(good && out.contains("a b/c") && out.matches("run_").count() == 4, "{out}");
    let (good, out, _) = say(&["session", "show", "a b/c"]).await;
    assert!(good && out.contains("idle") && out.matches("run_").count() == 3, "{out}");
    let (good, out, _) = say(&["session", "list"]).await;
    assert!(good && out.lines().count() == 3, "{out}");
    let (good, _, err) = say(&["task", "result", &id]).await;
    assert!(good && err.contains("done without a result"), "{err}");
    let (good, out, _) = say(&["task", "archive", &id]).await;
    assert!(good && out.contains("put away"), "{out}");
    let (good, out, err) = say(&["task", "unarchive", &id]).await;
    assert!(good && out.contains("in sight again"), "{out} {err}");
    let (_, out, _) = say(&["task", "list"]).await;
    assert!(out.contains(&id), "{out}");
    let (good, _, err) = say(&["task", "cancel", &id]).await;
    assert!(!good && err.contains("has ended"), "{err}");
}

async fn the_life_of_tasks_is_told(database: Database) {
    let more = "triggers = [{ name = \"told\", event = \"hook.task.*\", agent = \"away\", \
                prompt = \"x\", fire_limit = \"none\" }]\n";
    let folder = Folder::new(database, &format!("{more}{CONFIG}")).await;
    let host = folder.serve().await;
    let body = json!({ "agent": "agent", "message": "fail", "label": "l" });
    let id = ask(&host, None, &body).await.json()["id"].as_str().unwrap().to_owned();
    ended(&host, &id).await;
    for point in ["created", "started", "error"] {
        let path = format!("events?kind=hook.task.{point}");
        let event = wait::until(point, async || {
            let page = host.read(&path).await;
            page["items"].as_array()?.first().map(|event| event["id"].clone())
        })
        .await;
        let event = host.read(&format!("events/{}", event.as_str().unwrap())).await;
        let data = &event["envelope"]["data"];
        assert_eq!((&data["id"], &data["label"]), (&json!(id), &json!("l")), "{event}");
        assert_eq!(event["envelope"]["depth"], 1);
    }
}
