//! Filters that misbehave.

use super::{SANDBOX, check_misdeeds, decisions, filtering, folder, misdeeds, trigger};
use crate::harness::senders::Delivery;

#[tokio::test]
async fn every_limit_names_itself() {
    let folder = folder(SANDBOX, &misdeeds(filtering)).await;
    let mut host = folder.serve().await;
    for _ in 0..2 {
        check_misdeeds(&decisions(&host).await, "hostile-filter");
    }
    assert!(!host.process.has_ended());
}

#[tokio::test]
async fn a_crash_says_what_the_component_said() {
    let folder = folder(SANDBOX, &filtering("trap", "trap")).await;
    let host = folder.serve().await;
    let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let event = host.decided(&id).await;
    let reason = event["decisions"][0]["reason"].as_str().unwrap();
    let crashed = reason.starts_with("component `hostile-filter` crashed: ");
    assert!(crashed && reason.contains("a hostile component panics"), "{reason}");
    for command in ["show", "explain"] {
        let mut command = folder.hillock(&["event", command, &id]);
        let shown = command.env("HILLOCK_URL", &host.url).output().await.unwrap();
        let shown = String::from_utf8_lossy(&shown.stdout);
        assert!(shown.contains("a hostile component panics"), "{shown}");
    }
}

#[tokio::test]
async fn fuel_ends_a_loop_where_the_clock_would_not() {
    let sandbox = "[sandbox]\nfuel = 5_000_000\ntime = \"1h\"";
    let config = filtering("loop", "loop") + &trigger("zz-witness", "prompt = \"x\"");
    let folder = folder(sandbox, &config).await;
    let host = folder.serve().await;
    let found = decisions(&host).await;
    let (outcome, reason) = &found["loop"];
    assert_eq!(outcome, "component_error");
    assert!(reason.contains("fuel limit (5000000)"), "{reason}");
    assert_eq!(found["zz-witness"].0, "fired");
}

#[tokio::test]
async fn a_refusal_is_neither_a_crash_nor_a_limit() {
    let config = filtering("unknown", "no-such-mode") + &filtering("ok", "ok");
    let folder = folder(SANDBOX, &config).await;
    let host = folder.serve().await;
    let found = decisions(&host).await;
    let (outcome, reason) = &found["unknown"];
    assert_eq!(outcome, "component_error");
    assert!(reason.contains("refused: no mode `no-such-mode`"), "{reason}");
    assert_eq!(found["ok"].0, "fired");
}

#[tokio::test]
async fn files_environment_and_network_are_out_of_reach() {
    let folder = folder(SANDBOX, &filtering("files", "files")).await.env("LEAKED", "leaked");
    let host = folder.serve().await;
    let wanted = "file=denied directory=denied write=denied environment=empty arguments=empty \
                  network=denied";
    let seen = ("filtered".to_owned(), wanted.to_owned());
    assert_eq!(decisions(&host).await["files"], seen);
    assert!(!std::path::Path::new("/tmp/hillock-escape").exists());
}

/// Each of these triggers has an instance of its own, so that what it reports is the host's doing.
#[tokio::test]
async fn time_and_chance_are_the_events_own() {
    let looking = |name: &str| {
        let filter = "{ component = \"hostile-filter\", config = { mode = \"random-clock\", of = ";
        trigger(name, &format!("filter = {filter}{name:?} }} }}\nprompt = \"x\""))
    };
    let folder = folder(SANDBOX, &(looking("a") + &looking("b"))).await;
    let host = folder.serve().await;
    let id = host.deliver("open", Delivery::new(&[], b"{}")).await.event_id(202);
    let event = host.decided(&id).await;
    let [a, b] = &event["decisions"].as_array().unwrap()[..] else { panic!("{event}") };
    assert_eq!(a["reason"], b["reason"]);
    let received: hillock::model::time::Time =
        event["received_at"].as_str().unwrap().parse().unwrap();
    let (clock, _) = a["reason"].as_str().unwrap().split_once(' ').unwrap();
    assert_eq!(clock, format!("millis={}", received.as_millis()));
}

/// Two triggers with one configuration share their instances, those of another configuration have
/// their own; and what a crash leaves is never used again.
#[tokio::test]
async fn instances_are_shared_within_one_configuration_only() {
    let other = "{ component = \"hostile-filter\", config = { mode = \"state\", other = 1 } }";
    let config = filtering("a", "state")
        + &filtering("b", "state")
        + &trigger("c", &format!("filter = {other}\nprompt = \"x\""));
    let folder = folder(SANDBOX, &config).await;
    let host = folder.serve().await;
    for (a, b, c) in [(1, 2, 1), (3, 4, 2)] {
        let found = decisions(&host).await;
        for (trigger, calls) in [("a", a), ("b", b), ("c", c)] {
            assert_eq!(found[trigger].1, format!("calls={calls}"), "{trigger}");
        }
    }
}
