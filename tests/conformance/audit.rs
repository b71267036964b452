//! The audit: a row with each change and none without, never changed, read by filters, and removed
//! when it is old.

use std::path::Path;
use std::time::Duration;

use hillock::clock::Clock;
use hillock::config::definitions::{self as specs, Declared};
use hillock::controllers::{AUDIT_RETENTION_BATCH, RemovedRows, audit_retention, recover};
use hillock::model::audit::{Actor, Author, Place};
use hillock::model::definition::{Agent, DefinitionKind};
use hillock::model::id::KeyId;
use hillock::model::problem::Problems;
use hillock::model::queue::QUEUE_TIMEOUT;
use hillock::model::routing::Offer;
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::model::worker::{Eligibility, OFFLINE_AFTER, Presence};
use hillock::store::audit::{self, AuditFilter, Record};
use hillock::store::definitions::{self, Change, Stored};
use hillock::store::workers::Arrival;
use hillock::store::{PageRequest, Store, commands, keys, workers};
use serde_json::{Value, json};

use super::fixture::{agent, at, claimed, first_page, identity, open, scheduled_as, scope, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_change_and_its_row_are_one,
    a_change_without_its_row_is_none,
    a_stop_that_was_asked_for_is_asked_for_once,
    who_comes_with_a_key_approves_of_itself,
    what_is_forced_in_a_pass_is_counted_by_workspace,
    workers_that_fall_silent_are_counted,
    sql_changes_no_row,
    rows_are_found_by_what_is_asked,
    rows_come_forward_as_they_were_when_it_began,
    rows_go_when_they_are_older_than_a_year,
    rows_go_in_batches,
    the_audit_says_first_what_is_about_to_go,
);

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MOMENT: Duration = Duration::from_millis(1);

fn key() -> KeyId {
    KeyId::mint(at(0), [7; 10])
}

/// Somebody with a key, at a certain place.
fn somebody() -> Author {
    let place = Place {
        peer: Some("192.0.2.7".to_owned()),
        request_id: Some("r-1".to_owned()),
        user_agent: Some("test/1".to_owned()),
    };
    Author { actor: Actor::Key(key()), place }
}

/// A row of this instant.
async fn row_at(store: &Store, at: Time) {
    keys::admit(store, identity(), Clock.key_id(), at).await.unwrap();
}

/// All rows of a scope, oldest first.
async fn rows_of(store: &Store, scope: &Scope) -> Vec<Record> {
    found(store, scope, &AuditFilter::default()).await
}

async fn found(store: &Store, scope: &Scope, filter: &AuditFilter) -> Vec<Record> {
    let mut items = audit::list(store, scope, filter, first_page(200)).await.unwrap().items;
    items.reverse();
    items
}

fn actions(rows: &[Record]) -> Vec<&str> {
    rows.iter().map(|row| row.action.as_str()).collect()
}

fn declared(id: &str, spec: Value) -> Declared {
    let (kind, mut problems) = (DefinitionKind::Agent, Problems::default());
    let parsed = specs::parse(kind, "agent", &spec, Some(id), Path::new("/"), &mut problems);
    Declared { path: "agent".to_owned(), kind, spec, definition: parsed.unwrap() }
}

fn change(stored: &Stored) -> Change {
    let Stored { id, scope, revision, .. } = stored.clone();
    Change { id, scope, revision, now: at(20) }
}

async fn a_change_and_its_row_are_one(database: Database) {
    let store = open(&database).await.acting(somebody());
    let id = Clock.definition_id(DefinitionKind::Agent);
    let spec = |max: u32| declared(&id, json!({ "name": "a", "concurrency": max }));
    let made = definitions::create(&store, id.clone(), spec(1), at(10)).await.unwrap().unwrap();
    // Its name is taken, it is not there as it was seen, it would say the same.
    let other = declared("agt_2", json!({ "name": "a" }));
    definitions::create(&store, "agt_2".to_owned(), other, at(11)).await.unwrap().unwrap_err();
    let stale = Change { revision: 7, ..change(&made) };
    definitions::update(&store, stale.clone(), spec(2)).await.unwrap().unwrap_err();
    definitions::delete(&store, stale).await.unwrap().unwrap_err();
    let same = definitions::update(&store, change(&made), spec(1)).await.unwrap().unwrap();
    assert_eq!(database.count("audit").await, 1);

    let changed = definitions::update(&store, change(&same), spec(2)).await.unwrap().unwrap();
    let back = definitions::update(&store, change(&changed), spec(1)).await.unwrap().unwrap();
    definitions::delete(&store, change(&back)).await.unwrap().unwrap();
    let rows = rows_of(&store, &Scope::Global).await;
    let [create, update, revert, delete] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(
        actions(&rows),
        ["definition.create", "definition.update", "definition.update", "definition.delete"]
    );
    assert_eq!((create.before, create.after), (None, update.before));
    assert_ne!(update.before, update.after);
    // What says the same has the same digest.
    assert_eq!((revert.before, revert.after), (update.after, create.after));
    assert_eq!((delete.before, delete.after), (revert.after, None));
    for row in &rows {
        assert_eq!(
            (row.actor_kind.as_str(), row.actor_id.as_deref()),
            ("key", Some(key().as_str()))
        );
        assert_eq!(row.object_kind, "agent");
        assert_eq!((&row.object_id, &row.object_name), (&Some(id.clone()), &Some("a".to_owned())));
        assert_eq!(row.place, somebody().place);
    }
    assert_eq!((create.at, delete.at), (at(10), at(20)));
}

async fn a_change_without_its_row_is_none(database: Database) {
    let store = open(&database).await;
    let guard = match database {
        Database::Sqlite(_) => {
            "CREATE TRIGGER guard BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        }
        Database::Postgres { .. } => {
            "CREATE TRIGGER guard BEFORE INSERT ON audit \
             FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        }
    };
    database.execute(guard).await;
    let id = Clock.definition_id(DefinitionKind::Agent);
    let spec = declared(&id, json!({ "name": "a" }));
    assert!(definitions::create(&store, id, spec, at(10)).await.is_err());
    assert!(keys::admit(&store, identity(), Clock.key_id(), at(10)).await.is_err());
    assert_eq!((database.count("definitions").await, database.count("keys").await), (0, 0));
}

async fn a_stop_that_was_asked_for_is_asked_for_once(database: Database) {
    let store = open(&database).await;
    let (_, held) = claimed(&store, &agent(), at(10)).await;
    for now in [at(11), at(12)] {
        commands::cancel(&store, &Scope::Global, &held.run_id, now).await.unwrap().unwrap();
        commands::call_off(&store, &Scope::Global, &held.id, now).await.unwrap().unwrap();
    }
    let rows = rows_of(&store, &Scope::Global).await;
    assert_eq!(actions(&rows), ["run.cancel"]);
    assert_eq!(rows[0].object_id.as_deref(), Some(held.run_id.as_str()));
}

/// It registered with a token and waits for approval; then it comes with an administrator's key.
async fn who_comes_with_a_key_approves_of_itself(database: Database) {
    let store = open(&database).await;
    let id = worker();
    let statement = format!(
        "INSERT INTO workers (id, workspace_id, name, approval, admin_state, health, draining, \
                              leaving, agents, capacity, offer, registered_at) \
         VALUES ('{id}', '', 'w', 'pending', 'active', 'unknown', 0, 0, '[]', 1, '{{}}', 0)"
    );
    database.execute(&statement).await;
    let store = store.acting(somebody());
    for connection in ["one", "two"] {
        let arrival = Arrival {
            presence: Presence {
                worker_id: id.clone(),
                connection: connection.to_owned(),
                credential: None,
            },
            name: "w".to_owned(),
            agents: vec![],
            capacity: 1,
            offer: Offer::default(),
        };
        assert_eq!(
            workers::arrive(&store, arrival, at(1)).await.unwrap(),
            Ok(Eligibility::Eligible)
        );
    }
    let rows = rows_of(&store, &Scope::Global).await;
    assert_eq!(actions(&rows), ["worker.approve"]);
    assert!(rows[0].before.is_some() && rows[0].after.is_some());
}

async fn workers_that_fall_silent_are_counted(database: Database) {
    let store = open(&database).await;
    for (worker, workspace) in [(worker(), ""), (worker(), ""), (worker(), "acme")] {
        let heard = at(0).as_millis();
        let statement = format!(
            "INSERT INTO workers (id, workspace_id, name, approval, admin_state, health, draining, \
                                  leaving, agents, capacity, offer, registered_at, \
                                  last_heartbeat_at) \
             VALUES ('{worker}', '{workspace}', 'w', 'approved', 'active', 'online', 0, 0, '[]', \
                     1, '{{}}', 0, {heard})"
        );
        database.execute(&statement).await;
    }
    let store = store.acting(Author::controller("worker-health"));
    for _ in 0..2 {
        workers::sweep(&store, at(0) + OFFLINE_AFTER).await.unwrap();
    }
    for (scope, count) in [(Scope::Global, 2), (scope("acme"), 1)] {
        let rows = rows_of(&store, &scope).await;
        assert_eq!(actions(&rows), ["worker.offline"]);
        assert_eq!(rows[0].detail, Some(json!({ "count": count })));
    }
}

async fn what_is_forced_in_a_pass_is_counted_by_workspace(database: Database) {
    let store = open(&database).await;
    let elsewhere = Agent { scope: scope("acme"), ..agent() };
    for agent in [&agent(), &agent(), &elsewhere] {
        scheduled_as(&store, agent, |mut run| {
            run.terms.queue_timeout_ms = None;
            run
        })
        .await;
    }
    for _ in 0..2 {
        recover(&store, at(3) + QUEUE_TIMEOUT, true).await.unwrap();
    }
    for (scope, count) in [(Scope::Global, 2), (scope("acme"), 1)] {
        let rows = rows_of(&store, &scope).await;
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(row.actor_id.as_deref(), Some("command-recovery"));
        assert_eq!(
            (row.actor_kind.as_str(), row.action.as_str()),
            ("controller", "command.expire")
        );
        assert_eq!(row.detail, Some(json!({ "count": count })));
        assert_eq!((&row.object_id, &row.place), (&None, &Place::default()));
    }
}

async fn sql_changes_no_row(database: Database) {
    let store = open(&database).await;
    row_at(&store, at(0)).await;
    row_at(&store, at(1)).await;
    let mut statements = vec![
        "UPDATE audit SET action = 'nothing'",
        "UPDATE audit SET at = at WHERE seq = 1",
        "UPDATE audit SET detail = NULL WHERE actor_kind = 'host'",
    ];
    if matches!(database, Database::Postgres { .. }) {
        statements.push("TRUNCATE audit");
    }
    for statement in statements {
        let refused = database.try_execute(statement).await.unwrap_err();
        assert!(refused.to_string().contains("the audit is append-only"), "{statement}: {refused}");
    }
    let rows = rows_of(&store, &Scope::Global).await;
    assert_eq!(actions(&rows), ["key.create", "key.create"]);
}

async fn rows_are_found_by_what_is_asked(database: Database) {
    let store = open(&database).await;
    row_at(&store, at(1)).await;
    let id = Clock.definition_id(DefinitionKind::Agent);
    let spec = declared(&id, json!({ "name": "a" }));
    let acting = store.acting(somebody());
    definitions::create(&acting, id.clone(), spec, at(2)).await.unwrap().unwrap();
    row_at(&store.acting(Author::controller("scrub")), at(3)).await;
    let text = |text: &str| Some(text.to_owned());
    let all = AuditFilter::default;
    let seen = async |filter: AuditFilter| {
        let rows = found(&store, &Scope::Global, &filter).await;
        rows.iter().map(|row| row.at.since(at(0)).as_secs()).collect::<Vec<_>>()
    };
    for (actor, wanted) in [
        ("key", vec![2]),
        (key().as_str(), vec![2]),
        ("host", vec![1]),
        ("scrub", vec![3]),
        ("controller", vec![3]),
        ("worker", vec![]),
    ] {
        assert_eq!(seen(AuditFilter { actor: text(actor), ..all() }).await, wanted, "{actor}");
    }
    for (action, wanted) in [
        ("key.create", vec![1, 3]),
        ("key.*", vec![1, 3]),
        ("definition.*", vec![2]),
        ("definition.creat", vec![]),
        ("key.%", vec![]),
    ] {
        assert_eq!(seen(AuditFilter { action: text(action), ..all() }).await, wanted, "{action}");
    }
    for (object, wanted) in
        [("agent", vec![2]), ("a", vec![2]), (&id, vec![2]), ("key", vec![1, 3])]
    {
        assert_eq!(seen(AuditFilter { object: text(object), ..all() }).await, wanted, "{object}");
    }
    let (since, until) = (Some(at(2)), Some(at(3)));
    assert_eq!(seen(AuditFilter { since, ..all() }).await, [2, 3]);
    assert_eq!(seen(AuditFilter { until, ..all() }).await, [1, 2]);
    assert_eq!(seen(AuditFilter { since, until, ..all() }).await, [2]);
    assert_eq!(seen(AuditFilter { actor: text("host"), since, ..all() }).await, [0; 0]);
    assert!(rows_of(&store, &scope("acme")).await.is_empty(), "another workspace's");
}

async fn rows_come_forward_as_they_were_when_it_began(database: Database) {
    let store = open(&database).await;
    assert_eq!(audit::newest(&store, &Scope::Global).await.unwrap(), None);
    for secs in 0..5 {
        row_at(&store, at(secs)).await;
    }
    let through = audit::newest(&store, &Scope::Global).await.unwrap().unwrap();
    row_at(&store, at(5)).await;
    let (mut after, mut seen) = (0, vec![]);
    loop {
        let filter = AuditFilter::default();
        let range = (after, through);
        let rows = audit::forward(&store, &Scope::Global, &filter, range, 2).await.unwrap();
        let Some((last, _)) = rows.last() else { break };
        after = *last;
        seen.extend(rows.into_iter().map(|(_, row)| row.id));
    }
    let mut cursor: Option<String> = None;
    let mut listed = vec![];
    loop {
        let page = PageRequest::new(2, cursor.as_deref()).unwrap();
        let filter = AuditFilter { until: Some(at(5)), ..AuditFilter::default() };
        let page = audit::list(&store, &Scope::Global, &filter, page).await.unwrap();
        listed.extend(page.items.into_iter().map(|row| row.id));
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    listed.reverse();
    assert_eq!((seen.len(), seen), (5, listed));
}

async fn retain(store: &Store, batch: u32, dry_run: bool) -> RemovedRows {
    audit_retention(store, YEAR, batch, at(0) + YEAR, dry_run).await.unwrap()
}

async fn rows_go_when_they_are_older_than_a_year(database: Database) {
    let store = open(&database).await;
    for instant in [at(0) - MOMENT, at(0), at(0) + MOMENT, at(0) + YEAR] {
        row_at(&store, instant).await;
    }
    let dry = retain(&store, AUDIT_RETENTION_BATCH, true).await;
    assert_eq!(dry, RemovedRows { rows: 1, batches: 0, cut_off: at(0) });
    assert_eq!(database.count("audit").await, 4, "a dry run changes nothing");

    let removed = retain(&store, AUDIT_RETENTION_BATCH, false).await;
    assert_eq!(removed, RemovedRows { rows: 1, batches: 1, cut_off: at(0) });
    let rows = rows_of(&store, &Scope::Global).await;
    assert_eq!(actions(&rows), ["key.create", "key.create", "key.create", "audit.remove"]);
    assert_eq!(rows[0].at, at(0));
    assert_eq!(rows[3].actor_id.as_deref(), Some("audit-retention"));
    assert_eq!(rows[3].detail, Some(json!({ "before": at(0), "count": 1 })));

    // Again, there is nothing to remove and nothing to say.
    let again = retain(&store, AUDIT_RETENTION_BATCH, false).await;
    assert_eq!(again, RemovedRows { rows: 0, batches: 0, cut_off: at(0) });
    assert_eq!(database.count("audit").await, 4);
    let later = audit_retention(&store, YEAR, 1, at(0) + YEAR + MOMENT, false).await.unwrap();
    assert_eq!(later.rows, 1, "the next moment the next one is older than a year");
}

async fn rows_go_in_batches(database: Database) {
    let store = open(&database).await;
    for secs in 1..=5 {
        row_at(&store, at(0) - Duration::from_secs(secs)).await;
    }
    let removed = retain(&store, 2, false).await;
    assert_eq!((removed.rows, removed.batches), (5, 3));
    assert_eq!(actions(&rows_of(&store, &Scope::Global).await), ["audit.remove"]);
}

/// However it ends, what is missing was announced.
async fn the_audit_says_first_what_is_about_to_go(database: Database) {
    let store = open(&database).await;
    row_at(&store, at(0) - MOMENT).await;
    let guard = match database {
        Database::Sqlite(_) => {
            "CREATE TRIGGER guard BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        }
        Database::Postgres { .. } => {
            "CREATE TRIGGER guard BEFORE DELETE ON audit \
             FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        }
    };
    database.execute(guard).await;
    let failed = audit_retention(&store, YEAR, 10, at(0) + YEAR, false).await;
    assert!(failed.is_err(), "{failed:?}");
    let rows = rows_of(&store, &Scope::Global).await;
    assert_eq!(actions(&rows), ["key.create", "audit.remove"]);
}
