//! What a host says of what retention has removed.

use std::time::Duration;

use hillock::clock::Clock;
use hillock::config::{Keep, RetentionSettings};
use hillock::controllers::retention;
use hillock::store::Store;

use crate::contract;
use crate::harness::database::Database;
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

on_both_databases!(what_refers_to_it_says_so);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The host serves on while what is old is removed beside it.
async fn what_refers_to_it_says_so(database: Database) {
    let folder = contract::folder_without_limit(database).await.with_clock();
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    let path = format!("runs/{run}");
    assert_eq!(host.read(&path).await["event_removed"], false);
    assert_eq!(host.read(&format!("{path}/logs")).await["log_removed"], false);

    folder.lead(2 * DAY);
    let now = Clock.now() + 2 * DAY;
    let store = Store::open(folder.store_url()).await.unwrap();
    let remove = async |keep| {
        let keep = RetentionSettings { keep, ..RetentionSettings::default() };
        retention(&store, &keep, now, false).await.unwrap();
    };
    remove(Keep { events: Some(DAY), logs: Some(DAY), ..Keep::default() }).await;
    let shown = host.read(&path).await;
    assert_eq!(
        (&shown["event_removed"], &shown["event_id"]),
        (&true.into(), &event.as_str().into())
    );
    let said = host.read(&format!("{path}/logs")).await;
    assert_eq!((&said["log_removed"], said["logs"].as_array().unwrap().len()), (&true.into(), 0));
    let answer = host.get(&format!("events/{event}")).await;
    assert_eq!(answer.problem(404), "not_found");
    assert!(answer.body.contains("removed after a time"), "{answer:?}");
    let listed = host.read(&format!("runs?event_id={event}")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    let show = folder.hillock(&["run", "show", &run, "--url", &host.url]).output().await.unwrap();
    let text = String::from_utf8(show.stdout).unwrap();
    assert!(text.contains(&format!("{event} (removed)")), "{text}");
    let logs = folder.hillock(&["run", "logs", &run, "--url", &host.url]).output().await.unwrap();
    assert!(logs.status.success() && logs.stdout.is_empty(), "{logs:?}");
    assert!(String::from_utf8(logs.stderr).unwrap().contains("has been removed"));

    remove(Keep { runs: Some(DAY), ..Keep::default() }).await;
    for path in [path.clone(), format!("{path}/logs"), format!("{path}/activity")] {
        let answer = host.get(&path).await;
        assert_eq!(answer.problem(404), "not_found");
        assert!(answer.body.contains("removed after a time"), "{answer:?}");
    }
    // What never was is not said to have been.
    let never = format!("events/evt_{}", "0".repeat(32));
    assert!(!host.get(&never).await.body.contains("removed"));
}
