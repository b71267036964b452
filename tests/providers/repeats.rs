//! Deliveries that read the same: known by their names, marked, or refused.

use std::time::Duration;

use serde_json::{Value, json};

use super::folder;
use crate::harness::database::Database;
use crate::harness::folder::SECRET;
use crate::harness::on_both_databases;
use crate::harness::senders::{generic, github_signed, now, standard};
use crate::harness::wait;

on_both_databases!(
    equal_bodies_are_not_equal_events,
    an_endpoint_may_refuse_what_reads_the_same,
    rivals_that_read_the_same_see_each_other,
);

/// Two of a kind may read the same: GitHub's dispatches carry no time.
async fn equal_bodies_are_not_equal_events(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    let body = br#"{"event_type":"deploy"}"#;
    let deliver = async |path: &str, kind: &str, id: &str| {
        host.deliver(path, github_signed(SECRET, kind, id, body)).await
    };
    let first = deliver("github", "repository_dispatch", "d-1").await.event_id(202);
    assert_eq!(deliver("github", "repository_dispatch", "d-1").await.event_id(200), first);
    let second = deliver("github", "repository_dispatch", "d-2").await.event_id(202);
    let other = deliver("github", "workflow_dispatch", "d-3").await.event_id(202);
    let third = deliver("github", "repository_dispatch", "d-4").await.event_id(202);
    let nameless = github_signed(SECRET, "push", "", body);
    let fourth = host.deliver("github", nameless.clone()).await.event_id(202);
    assert_eq!(host.deliver("github", nameless).await.event_id(200), fourth);
    let repeat_of = [
        (&first, Value::Null),
        (&second, json!(first)),
        (&other, Value::Null),
        (&third, json!(second)),
        (&fourth, Value::Null),
    ];
    for (id, wanted) in &repeat_of {
        assert_eq!(host.read(&format!("events/{id}")).await["repeat_of"], *wanted, "{id}");
        assert_eq!(host.read(&format!("events/{id}/explain")).await["repeat_of"], *wanted);
    }
    let listed = host.items("events").await;
    for (event, (id, wanted)) in listed.iter().rev().zip(&repeat_of) {
        assert_eq!((&event["id"], &event["repeat_of"]), (&json!(id), wanted));
    }
    let mut show = folder.hillock(&["event", "show", &second]);
    let shown = show.env("HILLOCK_URL", &host.url).output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&format!("repeat of  {first}\n")), "{shown}");

    // The names of these are signed: nothing is said of bodies.
    for (path, delivery) in [
        ("generic", generic("d-1", now(), body)),
        ("generic", generic("d-2", now(), body)),
        ("standard", standard("webhook", "d-1", now(), body)),
        ("standard", standard("webhook", "d-2", now(), body)),
    ] {
        let id = host.deliver(path, delivery).await.event_id(202);
        assert_eq!(host.read(&format!("events/{id}")).await["repeat_of"], Value::Null, "{path}");
    }
}

async fn an_endpoint_may_refuse_what_reads_the_same(database: Database) {
    let folder = folder(database).await.with_clock();
    let host = folder.serve().await;
    let deliver = async |kind: &str, id: &str| {
        host.deliver("once", github_signed(SECRET, kind, id, b"{}")).await
    };
    let first = deliver("push", "d-1").await.event_id(202);
    assert_eq!(deliver("push", "d-1").await.event_id(200), first);
    let refused = deliver("push", "d-2").await;
    assert_eq!(refused.problem(409), "repeated");
    assert_eq!(refused.json()["detail"], format!("it came as {first}"));
    deliver("ping", "d-3").await.event_id(202);
    assert_eq!(folder.database.count("events").await, 2);
    assert_eq!(host.read(&format!("events/{first}/explain")).await["repeats"], 2);
    folder.advance(Duration::from_secs(25 * 60 * 60));
    let next_day = wait::until("the next day", async || {
        let answer = deliver("push", "d-4").await;
        (answer.status == 202).then(|| answer.event_id(202))
    })
    .await;
    assert_eq!(host.read(&format!("events/{next_day}")).await["repeat_of"], Value::Null);
}

/// Whatever the operators of a database would have transactions see.
#[tokio::test]
async fn rivals_see_each_other_under_any_default() {
    let database = Database::postgres().await;
    let stricter = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET \
                    default_transaction_isolation TO \"repeatable read\"', current_database()); \
                    END $$";
    database.execute(stricter).await;
    rivals_that_read_the_same_see_each_other(database).await;
}

/// At two hosts of one store at once.
async fn rivals_that_read_the_same_see_each_other(database: Database) {
    let folder = folder(database).await;
    let beside = super::folder(Database::sqlite()).await.beside(&folder);
    let (one, two) = (folder.serve().await, beside.serve().await);
    let posts = (0..12).map(async |n: u32| {
        let host = if n.is_multiple_of(2) { &one } else { &two };
        // Six names, each at both.
        let delivery = github_signed(SECRET, "push", &format!("d-{}", n / 2), b"{}");
        host.deliver("github", delivery).await.status
    });
    let mut statuses = futures_util::future::join_all(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 6], [202; 6]].concat());
    let events = one.items("events").await;
    let unmarked = events.iter().filter(|event| event["repeat_of"].is_null()).count();
    assert_eq!((events.len(), unmarked), (6, 1));

    let posts = (0..12).map(async |n: u32| {
        let host = if n.is_multiple_of(2) { &one } else { &two };
        let delivery = github_signed(SECRET, "push", &format!("d-{n}"), b"{}");
        host.deliver("once", delivery).await.status
    });
    let mut statuses = futures_util::future::join_all(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[202][..], &[409; 11]].concat());
}
