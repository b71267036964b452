//! Sessions that are stuck: when they are put right, and that they are not before.

use hillock::model::command::Control;
use hillock::model::id::SessionId;
use hillock::model::run::{Ending, RunStatus};
use hillock::model::scope::Scope;
use hillock::model::session::{Session, SessionState};
use hillock::model::task::TaskStatus;
use hillock::model::time::Time;
use hillock::store::commands::Fence;
use hillock::store::sessions::{self, Reconciled, SessionFilter};
use hillock::store::{PageRequest, tasks};

use super::fixture::{Held, Host, at};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    a_session_goes_with_its_execution,
    a_stop_is_said_again_and_then_forced,
    a_start_is_asked_after_and_then_taken_back,
    what_works_is_left_alone,
    a_stale_lease_is_freed_when_its_execution_is_over,
);

async fn session(host: &Host) -> Session {
    let page = PageRequest::new(1, None).unwrap();
    let filter = SessionFilter::default();
    let page = sessions::list(&host.store, &Scope::Global, &filter, page).await.unwrap();
    page.items.into_iter().next().unwrap()
}

async fn reconcile(host: &Host, now: Time) -> Reconciled {
    sessions::reconcile(&host.store, now).await.unwrap()
}

async fn renew(host: &Host, held: &Held, now: Time) {
    assert!(claims::renew(&host.store, held, now).await.unwrap().lost.is_empty());
}

fn ms(secs: i64) -> Time {
    at(secs) + std::time::Duration::from_millis(999)
}

const NOTHING: Reconciled = Reconciled { retried: 0, forced: 0, freed: 0 };
const RETRIED: Reconciled = Reconciled { retried: 1, forced: 0, freed: 0 };
const FORCED: Reconciled = Reconciled { retried: 0, forced: 1, freed: 0 };
const FREED: Reconciled = Reconciled { retried: 0, forced: 0, freed: 1 };

async fn a_session_goes_with_its_execution(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await;
    let before = session(&host).await;
    assert_eq!((before.state, before.lease.is_none()), (SessionState::Idle, true));
    assert_eq!(before.last_run_id, Some(task.run_id));
    let held = host.claim(at(1)).await;
    let starting = session(&host).await;
    assert_eq!((starting.state, starting.state_at), (SessionState::Starting, at(1)));
    let lease = starting.lease.unwrap();
    assert_eq!(lease.owner(), format!("{}:{}", host.worker, held.id));
    assert_eq!(lease.expires_at, at(61));
    claims::start(&host.store, &held, at(2)).await.unwrap();
    assert_eq!(session(&host).await.state, SessionState::Active);
    renew(&host, &held, at(30)).await;
    assert_eq!(session(&host).await.lease.unwrap().expires_at, at(90));
    tasks::cancel(&host.store, &Scope::Global, &task.made.id, at(31)).await.unwrap();
    assert_eq!(session(&host).await.state, SessionState::Stopping);
    host.finish(&held, Ending::Canceled, at(32)).await;
    let after = session(&host).await;
    assert_eq!((after.state, after.lease.is_none()), (SessionState::Idle, true));
    let key = after.key.clone();
    let found = sessions::find_by_key(&host.store, &Scope::Global, &key).await.unwrap().unwrap();
    assert_eq!(found.id, SessionId::derive(&Scope::Global, key.as_str()));
    let acme = Scope::parse("acme").unwrap();
    assert!(sessions::find(&host.store, &acme, &found.id).await.unwrap().is_none());
    assert!(sessions::find_by_key(&host.store, &acme, &key).await.unwrap().is_none());
}

async fn a_stop_is_said_again_and_then_forced(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    tasks::cancel(&host.store, &Scope::Global, &task, at(10)).await.unwrap();
    assert_eq!(host.words(at(11)).await.len(), 1);
    renew(&host, &held, ms(309)).await;
    assert_eq!(reconcile(&host, ms(309)).await, NOTHING);
    assert_eq!(reconcile(&host, at(310)).await, RETRIED);
    assert_eq!(reconcile(&host, at(310)).await, NOTHING, "once is enough");
    let words: Vec<_> = host.words(at(311)).await.into_iter().map(|word| word.2).collect();
    assert_eq!(words, [Control::Cancel { command_id: held.id.clone() }]);
    // It is alive, and does not stop.
    renew(&host, &held, ms(609)).await;
    assert_eq!(reconcile(&host, ms(609)).await, NOTHING);
    assert_eq!(reconcile(&host, at(610)).await, FORCED);
    assert_eq!(reconcile(&host, at(610)).await, NOTHING);
    assert_eq!(host.status(&task).await, TaskStatus::Canceled);
    let after = session(&host).await;
    assert_eq!((after.state, after.lease.is_none()), (SessionState::Idle, true));
    let late = claims::finish(&host.store, &held, Ending::Completed, at(611));
    assert_eq!(late.await.unwrap(), Fence::Lost);
    assert_eq!(host.audited().await, ["task.create", "task.cancel", "session.force"]);
}

async fn a_start_is_asked_after_and_then_taken_back(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.claim(at(10)).await;
    assert_eq!(reconcile(&host, ms(309)).await, NOTHING);
    assert_eq!(reconcile(&host, at(310)).await, RETRIED);
    assert_eq!(reconcile(&host, at(310)).await, NOTHING);
    let words: Vec<_> = host.words(at(311)).await.into_iter().map(|word| word.2).collect();
    assert_eq!(words, [Control::HealthCheck]);
    renew(&host, &held, ms(609)).await;
    assert_eq!(reconcile(&host, ms(609)).await, NOTHING);
    assert_eq!(reconcile(&host, at(610)).await, FORCED);
    assert_eq!(reconcile(&host, at(610)).await, NOTHING);
    assert_eq!(session(&host).await.state, SessionState::Idle);
    let again = host.start(at(611)).await;
    assert_eq!((&again.id, again.token == held.token), (&held.id, false));
    host.finish(&again, Ending::Completed, at(612)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Done);
}

async fn what_works_is_left_alone(database: Database) {
    let host = Host::open(database).await;
    host.task(at(0)).await;
    let held = host.start(at(1)).await;
    // Its lease has run out: that is for others to see to.
    assert_eq!(reconcile(&host, at(100_000)).await, NOTHING);
    assert_eq!(session(&host).await.state, SessionState::Active);
    assert_eq!(host.run(&held.run_id).await.status, RunStatus::Running);
}

async fn a_stale_lease_is_freed_when_its_execution_is_over(database: Database) {
    let host = Host::open(database).await;
    let task = host.task(at(0)).await.made.id;
    let held = host.start(at(1)).await;
    host.finish(&held, Ending::Completed, at(2)).await;
    assert_eq!(host.status(&task).await, TaskStatus::Done);
    let missing = hillock::clock::Clock.command_id();
    for owner in [&held.id, &missing] {
        let lease = format!(
            "UPDATE sessions SET state = 'active', lease_worker_id = '{}', \
             lease_command_id = '{owner}', lease_expires_at = {}",
            host.worker,
            at(60).as_millis(),
        );
        host.database.execute(&lease).await;
        assert_eq!(reconcile(&host, at(60) - std::time::Duration::from_millis(1)).await, NOTHING);
        assert_eq!(reconcile(&host, at(60)).await, FREED, "{owner}");
        assert_eq!(reconcile(&host, at(60)).await, NOTHING);
        let after = session(&host).await;
        assert_eq!((after.state, after.lease.is_none()), (SessionState::Idle, true));
    }
    assert_eq!(host.audited().await, ["task.create", "session.free", "session.free"]);
}
