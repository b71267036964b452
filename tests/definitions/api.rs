//! The API: what it takes, what it refuses, and that it is in effect when it answers.

use reqwest::Method;
use serde_json::{Value, json};

use super::{OPEN, create, decided, decisions, delete, patch, paths, trigger};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;

on_both_databases!(
    a_trigger_lives_and_dies,
    a_change_is_conditional,
    configured_ones_can_only_be_switched,
);

async fn serve(database: Database) -> (Folder, Host) {
    let folder = Folder::new(database, OPEN).await;
    let host = folder.serve().await;
    (folder, host)
}

async fn a_trigger_lives_and_dies(database: Database) {
    let (_folder, host) = serve(database).await;
    let answer = host.send(Method::POST, "triggers", &trigger("t")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let made = answer.json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/api/v1/triggers/{id}"));
    assert_eq!(answer.headers["etag"], "\"1\"");
    for (field, wanted) in [
        ("name", json!("t")),
        ("scope", json!("global")),
        ("defined_by", json!("dynamic")),
        ("enabled", json!(true)),
        ("own_enabled", json!(true)),
        ("overlay", json!(false)),
        ("revision", json!(1)),
        ("event", json!("webhook")),
        ("prompt", json!("do")),
        ("workspace_id", Value::Null),
    ] {
        assert_eq!(made[field], wanted, "{field}");
    }
    assert!(id.starts_with("trg_"), "{id}");
    assert_eq!(host.read("triggers/t").await, made);
    assert_eq!(host.read(&format!("triggers/{id}")).await, made);
    assert_eq!(decisions(&host, "open").await, decided(&[("t", "fired")]));

    let narrower = json!({ "filter": { "data.x": "y" }, "fire_limit": null });
    let changed = patch(&host, "triggers/t", &narrower).await.json();
    assert_eq!((&changed["revision"], &changed["fire_limit"]), (&json!(2), &Value::Null));
    assert_eq!(changed["id"], id);
    assert_eq!(decisions(&host, "open").await, decided(&[("t", "filtered")]));
    let renamed = patch(&host, "triggers/t", &json!({ "name": "u" })).await.json();
    assert_eq!((&renamed["id"], &renamed["name"]), (&json!(id), &json!("u")));

    let off = host.post("triggers/u/disable").await;
    assert_eq!((off.status, &off.json()["own_enabled"]), (200, &json!(false)), "{off:?}");
    assert_eq!(decisions(&host, "open").await, decided(&[("u", "disabled")]));
    host.post("triggers/u/enable").await;
    assert_eq!(decisions(&host, "open").await, decided(&[("u", "filtered")]));

    assert_eq!(delete(&host, "triggers/u").await.status, 204);
    assert_eq!(decisions(&host, "open").await, []);
    assert_eq!(host.get("triggers/u").await.problem(404), "not_found");
    assert_eq!(delete(&host, "triggers/u").await.problem(404), "not_found");
}

async fn a_change_is_conditional(database: Database) {
    let (_folder, host) = serve(database).await;
    create(&host, "triggers", &trigger("t")).await;
    let request = |method: Method, tag: &str| {
        host.request(method, "triggers/t").header("if-match", tag.to_owned())
    };
    let with = async |tag: &str, prompt: &str| {
        Answer::of(request(Method::PATCH, tag).json(&json!({ "prompt": prompt }))).await
    };
    assert_eq!(with("\"2\"", "a").await.problem(412), "stale");
    assert_eq!(with("W/\"1\"", "a").await.problem(412), "stale");
    assert_eq!(with("\"1\"", "a").await.headers["etag"], "\"2\"");
    assert_eq!(with("\"1\"", "b").await.problem(412), "stale");
    assert_eq!(with("\"1\", \"2\"", "b").await.status, 200);
    assert_eq!(with("*", "c").await.status, 200);
    assert_eq!(host.get("triggers/t").await.headers["etag"], "\"4\"");
    assert_eq!(host.read("triggers/t").await["prompt"], "c");
    let stale = host.request(Method::POST, "triggers/t/disable").header("if-match", "\"1\"");
    assert_eq!(Answer::of(stale).await.problem(412), "stale");
    assert_eq!(Answer::of(request(Method::DELETE, "\"3\"")).await.problem(412), "stale");
    assert_eq!(Answer::of(request(Method::DELETE, "\"4\"")).await.status, 204);
}

async fn configured_ones_can_only_be_switched(database: Database) {
    let config = format!(
        "{OPEN}\ntriggers = [{{ name = \"t\", event = \"webhook\", agent = \"a\", \
         prompt = \"x\", fire_limit = \"none\" }}]"
    );
    let folder = Folder::new(database, &config).await;
    let mut host = folder.serve().await;
    let shown = host.read("triggers/t").await;
    assert_eq!(
        (&shown["defined_by"], &shown["defined_at"]),
        (&json!("config"), &json!("triggers[0]"))
    );

    let refused = patch(&host, "triggers/t", &json!({ "prompt": "y" })).await;
    assert_eq!(refused.problem(409), "read_only");
    assert!(refused.body.contains("triggers[0]"), "{}", refused.body);
    let both = json!({ "prompt": "y", "enabled": false });
    assert_eq!(patch(&host, "triggers/t", &both).await.problem(409), "read_only");
    assert_eq!(delete(&host, "triggers/t").await.problem(409), "read_only");

    let off = patch(&host, "triggers/t", &json!({ "enabled": false })).await.json();
    let said = |shown: &Value| {
        ["enabled", "own_enabled", "overlay"].map(|field| shown[field].as_bool().unwrap())
    };
    assert_eq!(said(&off), [false, true, true]);
    assert_eq!(decisions(&host, "open").await, decided(&[("t", "disabled")]));
    assert!(host.process.stop().await.success());

    let host = folder.serve().await;
    assert_eq!(said(&host.read("triggers/t").await), [false, true, true]);
    assert_eq!(decisions(&host, "open").await, decided(&[("t", "disabled")]));
    let on = host.post("triggers/t/enable").await.json();
    assert_eq!(said(&on), [true, true, false]);
    assert_eq!(decisions(&host, "open").await, decided(&[("t", "fired")]));
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let (_folder, host) = serve(Database::sqlite()).await;
    let check = async |path: &str, content: Value, wanted: &[&str]| {
        let answer = host.send(Method::POST, path, &content).await;
        assert_eq!(answer.problem(422), "invalid_definition", "{content}");
        let mut paths = paths(&answer);
        paths.sort();
        assert_eq!(paths, wanted, "{content}: {answer:?}");
    };
    check(
        "triggers",
        json!({ "name": "T", "event": "x", "retry": { "base_delay": "soon" }, "colour": 1 }),
        &[
            "trigger.agent",
            "trigger.colour",
            "trigger.name",
            "trigger.prompt",
            "trigger.retry.base_delay",
        ],
    )
    .await;
    check(
        "triggers",
        json!({ "name": "t", "event": "x", "agent": "b", "endpoint": "shut", "prompt": "{{#if}}",
                "filter": { "date.x": "y" } }),
        &["trigger.agent", "trigger.endpoint", "trigger.filter.date.x", "trigger.prompt.1:1"],
    )
    .await;
    check("triggers", json!([1]), &["trigger"]).await;
    check(
        "jobs",
        json!({ "name": "j", "agent": "b", "prompt": "x",
                "schedule": { "cron": "61 * * * *", "timezone": "Nowhere" } }),
        &["job.agent", "job.schedule.cron", "job.schedule.timezone"],
    )
    .await;
    check(
        "endpoints",
        json!({ "slug": "e", "source": "match", "secret_ref": "env:NOT_THERE" }),
        &["endpoint.secret_ref", "endpoint.source"],
    )
    .await;
    let hook = json!({ "name": "h", "points": ["run.failed"], "component": "match" });
    check("hooks", hook, &["hook.component"]).await;
    check("observers", json!({ "name": "o", "watch": "stars" }), &["observer.watch"]).await;
    check("extensions", json!({ "name": "nothing" }), &["extension.component"]).await;
    check("agents", json!({ "name": "b", "enabled": false }), &["agent.enabled"]).await;

    create(&host, "triggers", &trigger("t")).await;
    let answer = patch(&host, "triggers/t", &json!({ "retry": { "max_retries": 0 } })).await;
    assert_eq!(answer.problem(422), "invalid_definition");
    assert_eq!(paths(&answer), ["trigger.retry.max_retries"]);
    let moved = patch(&host, "triggers/t", &json!({ "workspace": "acme" })).await;
    assert_eq!(moved.problem(422), "invalid_definition");
    assert_eq!(host.read("triggers/t").await["revision"], 1);

    let broken = host.request(Method::POST, "triggers").body("{");
    assert_eq!(Answer::of(broken).await.problem(400), "malformed_json");
    let large = host.request(Method::POST, "triggers").body(vec![b' '; 3 * 1024 * 1024]);
    assert_eq!(Answer::of(large).await.problem(413), "body_too_large");
    assert_eq!(host.get("triggers?source=here").await.problem(400), "invalid_parameter");
    assert_eq!(host.get("triggers?enabled=perhaps").await.problem(400), "invalid_parameter");
}

#[tokio::test]
async fn others_have_their_names_and_are_not_left_without_theirs() {
    let (_folder, host) = serve(Database::sqlite()).await;
    create(&host, "agents", &json!({ "name": "b" })).await;
    let twice = host.send(Method::POST, "agents", &json!({ "name": "b" })).await;
    assert_eq!((twice.problem(409), paths(&twice)), ("taken".into(), vec!["agent.name".into()]));
    let mut own = trigger("t");
    own["endpoint_slug"] = "open".into();
    own["webhook_secret_ref"] = "env:GITHUB_WEBHOOK_SECRET".into();
    let taken = host.send(Method::POST, "triggers", &own).await;
    assert_eq!(taken.problem(409), "taken");
    assert_eq!(paths(&taken), ["trigger.endpoint_slug"]);

    let mut of_b = trigger("t");
    of_b["agent"] = "b".into();
    create(&host, "triggers", &of_b).await;
    let refused = delete(&host, "agents/b").await;
    assert_eq!(refused.problem(409), "in_use");
    assert!(refused.body.contains("trigger `t`"), "{}", refused.body);
    assert_eq!(host.read("triggers?agent=b").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(host.read("triggers?agent=a").await["items"], json!([]));
    delete(&host, "triggers/t").await;
    assert_eq!(delete(&host, "agents/b").await.status, 204);
    // An agent is neither on nor off.
    assert_eq!(host.post("agents/a/disable").await.problem(404), "not_found");
}

#[tokio::test]
async fn a_workspace_has_its_own() {
    let (_folder, host) = serve(Database::sqlite()).await;
    let made = create(&host, "agents?workspace=acme", &json!({ "name": "x" })).await;
    assert_eq!((&made["scope"], &made["workspace_id"]), (&json!("workspace"), &json!("acme")));
    let said = create(&host, "agents", &json!({ "name": "y", "workspace": "acme" })).await;
    assert_eq!(said["workspace_id"], "acme");
    let other = json!({ "name": "z", "workspace": "umbrella" });
    let disagreed = host.send(Method::POST, "agents?workspace=acme", &other).await;
    assert_eq!(disagreed.problem(422), "invalid_definition");
    assert_eq!(paths(&disagreed), ["agent.workspace"]);

    let id = made["id"].as_str().unwrap();
    for workspace in ["", "umbrella"] {
        for name in ["x", id] {
            let path = format!("agents/{name}?workspace={workspace}");
            assert_eq!(host.get(&path).await.problem(404), "not_found");
            let content = json!({ "name": "w" });
            assert_eq!(patch(&host, &path, &content).await.problem(404), "not_found");
            assert_eq!(delete(&host, &path).await.problem(404), "not_found");
        }
        let listed = host.read(&format!("agents?workspace={workspace}&source=dynamic")).await;
        assert_eq!(listed["items"], json!([]));
    }
    // An agent of the global scope is none of the workspace's.
    let mut trigger = trigger("t");
    trigger["workspace"] = "acme".into();
    let refused = host.send(Method::POST, "triggers", &trigger).await;
    assert_eq!(paths(&refused), ["trigger.agent"]);
}

#[tokio::test]
async fn endpoints_open_and_shut_at_once() {
    let (folder, host) = serve(Database::sqlite()).await;
    let post = async |path: &str| host.deliver(path, Delivery::new(&[], b"{}")).await.status;
    assert_eq!(post("late").await, 404);
    let open = json!({ "slug": "late", "verification": "none" });
    let made = create(&host, "endpoints", &open).await;
    assert_eq!(made["webhook"]["path"], "/webhooks/late");
    let by_id = made["webhook"]["id"].as_str().unwrap();
    assert_eq!((made["id"].as_str(), post("late").await), (Some(by_id), 202));
    assert_eq!(post(by_id).await, 202);
    host.post("endpoints/late/disable").await;
    assert_eq!((post("late").await, post(by_id).await), (404, 404));
    host.post("endpoints/late/enable").await;
    let moved = patch(&host, "endpoints/late", &json!({ "slug": "later" })).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    assert_eq!((post("late").await, post("later").await, post(by_id).await), (404, 202, 202));
    delete(&host, "endpoints/later").await;
    assert_eq!((post("later").await, post(by_id).await), (404, 404));

    // Its secret is not where this host looks any more.
    folder.write("token", "s3cret");
    let kept = json!({ "slug": "kept", "secret_ref": "file:token" });
    create(&host, "endpoints", &kept).await;
    assert_eq!(post("kept").await, 401);
    let mut host = host;
    assert!(host.process.stop().await.success());
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let host = folder.serve().await;
    let answer = host.deliver("kept", Delivery::new(&[], b"{}")).await;
    assert_eq!(answer.problem(503), "endpoint_shut");
    assert!(answer.headers.contains_key("retry-after"));
    folder.write("token", "s3cret");
    assert_eq!(host.post("config/reload").await.status, 200);
    assert_eq!(host.deliver("kept", Delivery::new(&[], b"{}")).await.status, 401);
}

/// One set of handlers for all kinds.
#[tokio::test]
async fn every_kind_can_be_made() {
    let (folder, host) = serve(Database::sqlite()).await;
    let folders = [folder.path().to_str().unwrap()];
    for (plural, prefix, content) in [
        ("agents", "agt_", json!({ "name": "b" })),
        ("endpoints", "wbh_", json!({ "slug": "b", "verification": "none" })),
        ("triggers", "trg_", trigger("b")),
        (
            "jobs",
            "job_",
            json!({ "name": "b", "schedule": { "every": "1h" }, "agent": "a", "prompt": "x" }),
        ),
        (
            "hooks",
            "hok_",
            json!({ "name": "b", "points": ["run.failed"], "component": "lifecycle" }),
        ),
        ("observers", "obs_", json!({ "name": "b", "watch": "files", "folders": folders })),
    ] {
        let made = create(&host, plural, &content).await;
        let id = made["id"].as_str().unwrap();
        assert!(id.starts_with(prefix), "{made}");
        let listed = host.read(&format!("{plural}?source=dynamic&enabled=true")).await;
        assert_eq!(listed["items"], json!([made]), "{plural}");
        assert_eq!(delete(&host, &format!("{plural}/{id}")).await.status, 204);
    }
}
