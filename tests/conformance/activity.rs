//! What is new of a run, in one answer.

use hillock::model::activity::Cursor;
use hillock::model::run::{Ending, LogLine, RunEvent, RunStatus, Stream};
use hillock::model::scope::Scope;
use hillock::store::Store;
use hillock::store::activity::{Activity, Portion, read};
use serde_json::json;

use super::fixture::{agent, at, claimed, open, run_id, scope};
use crate::harness::claims::{self, Held};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    it_goes_on_behind_the_cursor,
    a_cursor_behind_the_end_is_the_end,
    anothers_run_is_not_found,
    what_is_seen_to_have_ended_says_no_more,
);

const ALL: Portion = Portion { logs: 100, events: 100 };

async fn it_goes_on_behind_the_cursor(database: Database) {
    let store = open(&database).await;
    let held = spoken(&store).await;
    let look = async |logs, events, portion| {
        let after = Cursor { logs, events, ended: false };
        let activity = read(&store, &Scope::Global, &held.run_id, after, portion).await;
        let Activity { logs, events, cursor, more, .. } = activity.unwrap().unwrap();
        (logs.len(), events.len(), cursor.to_string(), more)
    };
    assert_eq!(look(0, 0, ALL).await, (3, 2, "l3-e2".to_owned(), false));
    let two = Portion { logs: 2, events: 2 };
    assert_eq!(look(0, 0, two).await, (2, 2, "l2-e2".to_owned(), true));
    assert_eq!(look(2, 2, two).await, (1, 0, "l3-e2".to_owned(), false));
    let lines = Portion { logs: 2, events: 0 };
    assert_eq!(look(2, 0, lines).await, (1, 0, "l3-e0".to_owned(), false));
}

async fn a_cursor_behind_the_end_is_the_end(database: Database) {
    let store = open(&database).await;
    let held = spoken(&store).await;
    let after = Cursor { logs: 99, events: i64::MAX, ended: false };
    let found = read(&store, &Scope::Global, &held.run_id, after, ALL).await.unwrap().unwrap();
    assert_eq!(found.cursor.to_string(), "l3-e2");
    assert!(found.logs.is_empty() && found.events.is_empty());
}

async fn anothers_run_is_not_found(database: Database) {
    let store = open(&database).await;
    let held = spoken(&store).await;
    for (scope, id) in [(scope("acme"), held.run_id), (Scope::Global, run_id())] {
        assert!(read(&store, &scope, &id, Cursor::default(), ALL).await.unwrap().is_none());
    }
}

/// Lines and the end are stored by one, while another looks again and again.
async fn what_is_seen_to_have_ended_says_no_more(database: Database) {
    let store = open(&database).await;
    for _ in 0..20 {
        let held = spoken(&store).await;
        let speaking = async {
            for number in 4..10 {
                say(&store, &held, number).await;
            }
            claims::finish(&store, &held, Ending::Completed, at(11)).await.unwrap();
        };
        let looking = async {
            loop {
                let found =
                    read(&store, &Scope::Global, &held.run_id, Cursor::default(), ALL).await;
                let found = found.unwrap().unwrap();
                if found.run.status == RunStatus::Completed {
                    break found.logs.len();
                }
            }
        };
        let ((), seen) = tokio::join!(speaking, looking);
        assert_eq!(seen, 9);
    }
}

/// An attempt that wrote three lines and told two events.
async fn spoken(store: &Store) -> Held {
    let (_, held) = claimed(store, &agent(), at(10)).await;
    for number in 1..=3 {
        say(store, &held, number).await;
    }
    let event =
        || RunEvent { at: at(5), kind: "tick".parse().unwrap(), data: json!({ "type": "tick" }) };
    let events = vec![event(), event()];
    claims::tell(store, &held, 1, events, at(10)).await.unwrap();
    held
}

async fn say(store: &Store, held: &Held, number: u64) {
    let line = LogLine { at: at(5), stream: Stream::Stdout, text: number.to_string() };
    claims::write(store, held, number, vec![line], at(10)).await.unwrap();
}
