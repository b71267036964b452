//! The audit, read: in pages, as lines, through the API and by command.

use reqwest::Method;
use serde_json::{Value, json};

use super::{actions, make, rows, serve, task};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::{on_both_databases, senders};

on_both_databases!(what_is_exported_is_what_is_listed, filters_narrow_it_down);

async fn what_is_exported_is_what_is_listed(database: Database) {
    let (folder, host) = serve(database).await;
    // More than an export reads at a time, and than a page has.
    let now_ms = senders::now() * 1000;
    let filler: Vec<_> = (0..1100)
        .map(|n| format!("('aud_{n:032}', '', {}, 'host', 'key.create', 'key')", now_ms + n))
        .collect();
    let columns = "id, workspace_id, at, actor_kind, action, object_kind";
    let filler = format!("INSERT INTO audit ({columns}) VALUES {}", filler.join(","));
    folder.database.execute(&filler).await;
    task(&host, "a").await;
    let answer = host.get("audit/export").await;
    assert_eq!(answer.headers["content-type"], "application/jsonl");
    let exported: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut listed = host.items("audit").await;
    listed.reverse();
    assert!(exported.len() > 1100, "{}", exported.len());
    assert_eq!(exported, listed);

    // By command, the same.
    let said = ask(&folder, &host, &["audit", "export"]).await;
    assert_eq!(said, answer.body);
    let said = ask(&folder, &host, &["audit", "list", "--json", "--limit", "2"]).await;
    let page: Value = serde_json::from_str(&said).unwrap();
    let newest = [&listed[listed.len() - 1], &listed[listed.len() - 2]];
    assert_eq!(page["items"], json!(newest));
    let shown = ask(&folder, &host, &["audit", "list", "--action", "task.*"]).await;
    let lines: Vec<_> = shown.lines().collect();
    let [head, line] = lines[..] else { panic!("{shown}") };
    let head: Vec<_> = head.split_whitespace().collect();
    assert_eq!(head, ["AT", "ACTOR", "ACTION", "OBJECT", "NAME", "FROM"]);
    let row = &rows(&host, "action=task.*").await[0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let cells = [
        text(&row["at"]),
        text(&row["actor"]["id"]),
        "task.create".to_owned(),
        text(&row["object"]["id"]),
        "-".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), cells);
}

async fn ask(folder: &Folder, host: &Host, args: &[&str]) -> String {
    let output = folder.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn filters_narrow_it_down(database: Database) {
    let (folder, host) = serve(database).await;
    let made = task(&host, "a").await;
    let cancel = format!("tasks/{}/cancel", made["id"].as_str().unwrap());
    make(&host, Method::POST, &cancel, None).await;
    let all = rows(&host, "").await;
    let key = all.last().unwrap()["actor"]["id"].as_str().unwrap().to_owned();
    for filter in ["actor=key", "action=task.*", "object=task", &format!("actor={key}")] {
        assert_eq!(actions(&rows(&host, filter).await), ["task.create", "task.cancel"], "{filter}");
    }
    let created = rows(&host, "action=task.create").await[0]["at"].as_str().unwrap().to_owned();
    let since = rows(&host, &format!("since={created}")).await;
    assert!(actions(&since).contains(&"task.create"), "{since:?}");
    let until = rows(&host, &format!("until={created}&object=task")).await;
    assert!(until.is_empty(), "{until:?}");
    let args = ["audit", "export", "--actor", &key, "--action", "task.cancel"];
    assert_eq!(ask(&folder, &host, &args).await.lines().count(), 1);
    assert!(rows(&host, "actor=nobody").await.is_empty());
    assert_eq!(rows(&host, "actor=&action=&object=&since=&until=").await, all);

    let long = format!("actor={}", "x".repeat(257));
    for bad in [
        "since=yesterday",
        "until=1",
        "action=task",
        "action=*",
        "action=task.%25",
        "object=a%00b",
        "workspace=No%20Such",
        "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        &long,
    ] {
        for path in ["audit", "audit/export"] {
            let answer = host.get(&format!("{path}?{bad}")).await;
            assert_eq!(answer.problem(400), "invalid_parameter", "{path}?{bad}");
        }
    }
    for bad in ["cursor=x", "limit=many"] {
        assert_eq!(host.get(&format!("audit?{bad}")).await.problem(400), "invalid_parameter");
    }
    for method in [Method::POST, Method::DELETE, Method::PATCH, Method::PUT] {
        let answer = Answer::of(host.request(method, "audit")).await;
        assert_eq!(answer.problem(405), "method_not_allowed");
    }
    let nobody = host.http.get(format!("{}/api/v1/audit", host.url));
    assert_eq!(Answer::of(nobody).await.problem(401), "unauthorized");
}
