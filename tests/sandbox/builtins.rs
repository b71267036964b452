//! The built-in hook and observer, as components.

use hillock::model::scope::Scope;
use hillock::sandbox::{Kind, Notice, Observation, State, Subject};
use serde_json::{Value, json};

use super::{acme, at, name, strict};

#[tokio::test]
async fn lifecycle_makes_an_event_of_everything() {
    let data = r#"{"run":"run_1","error":null}"#;
    let notice = Notice {
        id: "run_1:failed".to_owned(),
        point: "run.failed".to_owned(),
        at: at(),
        data: data.to_owned(),
        config: "{}".into(),
    };
    let made = strict().notice(&name("lifecycle"), &Scope::Global, notice).await.unwrap();
    let [event] = &made[..] else { panic!("{made:?}") };
    assert_eq!((event.kind.as_str(), &event.data[..]), ("hook.run.failed", data.as_bytes()));
    assert_eq!(event.dedupe.as_deref(), Some("run_1:failed"));
    assert_eq!(event.occurred_at, Some(at()));
}

/// The kind of the only event that `watch` makes of this, and its state after it.
async fn watched(subject: Subject, data: Value, config: &Value, state: &mut State) -> String {
    let observation = Observation {
        id: "seen:1".to_owned(),
        subject,
        at: at(),
        data: data.to_string(),
        config: config.to_string().into(),
    };
    let before = std::mem::take(state);
    let seen = strict().observe(&name("watch"), &acme(), observation, before).await.unwrap();
    *state = seen.1;
    match &seen.0[..] {
        [] => String::new(),
        [event] => {
            assert_eq!(event.data, data.to_string().as_bytes());
            event.kind.as_str().to_owned()
        }
        events => panic!("{events:?}"),
    }
}

#[tokio::test]
async fn watch_sees_files_runs_and_sessions() {
    let file = |path: &str| json!({ "path": path, "folder": "notes", "change": "modified" });
    let run = json!({ "id": "run_1", "status": "completed", "agent": "triager" });
    let session = json!({ "session": "ses_1", "change": "created" });
    for (subject, data, config, kind) in [
        (Subject::File, file("a.md"), json!({ "match": "*.md" }), "file.modified"),
        (Subject::File, file("a.txt"), json!({ "match": "*.md" }), ""),
        (Subject::Run, run.clone(), json!({}), "run.completed"),
        (Subject::Run, run, json!({ "statuses": ["failed"] }), ""),
        (Subject::Session, session, json!({}), "session.created"),
        (Subject::File, json!({ "no": "path" }), json!({}), ""),
    ] {
        let mut state = State::new();
        assert_eq!(watched(subject, data.clone(), &config, &mut state).await, kind, "{data}");
        assert_eq!(state, State::new());
    }
}

#[tokio::test]
async fn watch_tells_of_one_crossing_once() {
    let config = json!({ "above": 10 });
    let mut state = State::new();
    for (agent, waiting, kind) in [
        ("triager", 10, ""),
        ("triager", 11, "queue.backlog"),
        ("triager", 30, ""),
        ("reviewer", 11, "queue.backlog"),
        ("triager", 6, ""),
        ("triager", 5, "queue.cleared"),
        ("triager", 0, ""),
        ("reviewer", 0, "queue.cleared"),
    ] {
        let data = json!({ "agent": agent, "workspace_id": "acme", "waiting": waiting });
        let found = watched(Subject::Queue, data, &config, &mut state).await;
        assert_eq!(found, kind, "{agent} {waiting}");
    }
    assert_eq!(state, State::new());
    let data = json!({ "agent": "triager", "waiting": 99 });
    assert_eq!(watched(Subject::Queue, data, &json!({}), &mut state).await, "");
}

#[tokio::test]
async fn configurations_that_are_not_understood_are_refused() {
    for (kind, component, config, paths) in [
        (Kind::HookSource, "lifecycle", "{}", &[][..]),
        (Kind::HookSource, "lifecycle", "{\"points\": []}", &["points"]),
        (Kind::ObserverSource, "watch", "{\"match\": \"**/*.md\", \"above\": 3}", &[]),
        (Kind::ObserverSource, "watch", "{\"match\": \"[\", \"every\": 3}", &["match", "every"]),
        (Kind::Filter, "match", "{\"data\": \"x\"}", &["data"]),
        (Kind::WebhookSource, "generic", "{}", &[]),
    ] {
        let found = strict().check_config(kind, &name(component), config, &acme()).await.unwrap();
        let found: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(found, paths, "{component} {config}");
    }
}
