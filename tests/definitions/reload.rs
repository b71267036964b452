//! Configuration, read again: by a signal, through the API, by a command.

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{OPEN, decided, decisions, paths, trigger};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;
use crate::harness::senders::Delivery;
use crate::harness::wait;

on_both_databases!(what_has_changed_is_taken, a_broken_file_changes_nothing);

fn with_trigger(name: &str) -> String {
    format!(
        "{OPEN}\ntriggers = [{{ name = \"{name}\", event = \"webhook\", agent = \"a\", \
         prompt = \"x\", fire_limit = \"none\" }}]"
    )
}

async fn what_has_changed_is_taken(database: Database) {
    let folder = Folder::new(database, OPEN).await;
    let host = folder.serve().await;
    let said = folder.read("serve.log").unwrap();
    assert!(said.contains("definitions: 2 created, 0 updated, 0 unchanged, 0 deleted"), "{said}");

    folder.write("hillock.toml", &with_trigger("first"));
    let answer = host.post("config/reload").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let wanted = json!({ "created": 1, "updated": 0, "unchanged": 2, "deleted": 0,
                         "restart_needed": [], "left_behind": [] });
    assert_eq!(answer.json(), wanted);
    assert_eq!(decisions(&host, "open").await, decided(&[("first", "fired")]));

    // By a signal, from a file beside.
    folder.write("hillock.toml", OPEN);
    std::fs::create_dir(folder.path().join("automations.d")).unwrap();
    let beside = with_trigger("second").replace(OPEN, "");
    folder.write("automations.d/more.toml", &beside);
    host.process.signal(Signal::SIGHUP);
    wait::until("the signal to be heard", async || {
        (host.get("triggers/second").await.status == 200).then_some(())
    })
    .await;
    let shown = host.read("triggers/second").await;
    assert_eq!(shown["defined_at"], "automations.d/more.toml: triggers[0]");
    wait::until("the change to be in effect", async || {
        (decisions(&host, "open").await == decided(&[("second", "fired")])).then_some(())
    })
    .await;

    // What is another file's work, and what takes a restart.
    let plugins =
        "\nplugins = [{ name = \"p\", path = \"p.wasm\" }]\n[server]\nlisten = \"[::1]:1\"";
    folder.write("hillock.toml", &format!("{OPEN}{plugins}\n[sandbox]\nfuel = 7\n"));
    let answer = host.post("config/reload").await.json();
    // The test says where to listen, over the file.
    assert_eq!(answer["restart_needed"], json!(["sandbox", "plugins"]));
    assert_eq!(answer["unchanged"], 3);
}

async fn a_broken_file_changes_nothing(database: Database) {
    let folder = Folder::new(database, &with_trigger("first")).await;
    let host = folder.serve().await;
    let before = host.read("triggers/first").await;
    let good = with_trigger("second");
    for (config, wanted) in [
        (good.replace("event = ", "evnt = "), vec!["triggers[0].event", "triggers[0].evnt"]),
        (
            good.replace("prompt = \"x\"", "prompt = \"{{#if}}\"")
                .replace("verification = \"none\"", "secret_ref = \"env:NOT_THERE\""),
            vec!["endpoints[0].secret_ref", "triggers[0].prompt.1:1"],
        ),
        (
            good.replace("agent = \"a\"", "agent = \"b\"").replace("\"open\"", "\"a--b\""),
            vec!["endpoints[0].slug", "triggers[0].agent"],
        ),
    ] {
        folder.write("hillock.toml", &config);
        let answer = host.post("config/reload").await;
        assert_eq!(answer.problem(422), "invalid_configuration", "{answer:?}");
        let mut paths = paths(&answer);
        paths.sort();
        assert_eq!(paths, wanted);
    }
    folder.write("hillock.toml", "[server");
    let answer = host.post("config/reload").await;
    assert_eq!(answer.problem(422), "invalid_configuration");
    assert!(paths(&answer)[0].ends_with("hillock.toml"), "{answer:?}");
    host.process.signal(Signal::SIGHUP);
    wait::until("the signal to be refused", async || {
        host.process.written().contains("nothing has changed").then_some(())
    })
    .await;

    // What the API has made keeps its name.
    let mine = host.send(Method::POST, "triggers", &trigger("second")).await;
    assert_eq!(mine.status, 201, "{mine:?}");
    folder.write("hillock.toml", &good);
    let answer = host.post("config/reload").await;
    assert_eq!(paths(&answer), ["triggers[0].name"], "{answer:?}");

    assert_eq!(host.read("triggers/first").await, before);
    let both = decided(&[("first", "fired"), ("second", "fired")]);
    assert_eq!(decisions(&host, "open").await, both);
}

/// No delivery meets a host that is between two configurations, and no event goes unanswered.
#[tokio::test]
async fn deliveries_go_on_meanwhile() {
    let folder = Folder::new(Database::sqlite(), &with_trigger("odd")).await;
    let host = folder.serve().await;
    let stop = CancellationToken::new();
    let sending = async {
        let mut events = vec![];
        while !stop.is_cancelled() {
            let body = format!("{{\"n\":{}}}", events.len());
            let answer = host.deliver("open", Delivery::new(&[], body.as_bytes())).await;
            events.push(answer.event_id(202));
        }
        events
    };
    let reloading = async {
        for round in 0..12 {
            let name = if round % 2 == 0 { "even" } else { "odd" };
            folder.write("hillock.toml", &with_trigger(name));
            let answer = host.post("config/reload").await.json();
            assert_eq!((&answer["created"], &answer["deleted"]), (&json!(1), &json!(1)));
        }
        stop.cancel();
    };
    let (events, ()) = tokio::join!(sending, reloading);
    assert!(!events.is_empty());
    for event in &events {
        // Exactly one of the two was defined, whenever it was decided.
        host.run_of(event).await;
    }
}
