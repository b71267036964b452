//! The controller command-recovery, run twice each time: what it puts right, and what it leaves.

use std::time::Duration;

use hillock::controllers::{Recovered, recover};
use hillock::model::command::{LEASE, RUNNING_MAX, SENT_MAX};
use hillock::model::queue::QUEUE_TIMEOUT;
use hillock::model::run::RunStatus;
use hillock::store::Store;
use hillock::store::commands::release_others;

use super::fixture::{agent, at, claim, claimed, open, run, scheduled, scheduled_as, worker};
use crate::harness::claims;
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    what_waited_too_long_expires_with_its_run,
    a_command_may_say_how_long_it_waits,
    a_wait_begins_anew_with_each_return,
    a_lease_that_ran_out_is_released,
    an_offline_workers_commands_are_released_whatever_their_lease_says,
    the_third_loss_fails,
    leases_are_left_alone_when_nobody_could_renew_them,
);

const MOMENT: Duration = Duration::from_millis(1);

/// Recovers, and a second time, which finds nothing.
async fn recovered(store: &Store, now: hillock::model::time::Time) -> (usize, usize) {
    let Recovered { expired, released, .. } = recover(store, now, true).await.unwrap();
    assert_eq!(recover(store, now, true).await.unwrap(), Recovered::default(), "again");
    (expired, released)
}

async fn what_waited_too_long_expires_with_its_run(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    // More than one transaction ends.
    let mut made = vec![];
    for _ in 0..103 {
        let patient = scheduled_as(&store, &agent, |mut run| {
            run.terms.queue_timeout_ms = None;
            run
        });
        made.push(patient.await);
    }
    assert_eq!(recovered(&store, at(3) + QUEUE_TIMEOUT - MOMENT).await, (0, 0));
    assert_eq!(recovered(&store, at(3) + QUEUE_TIMEOUT).await, (103, 0));
    for id in [&made[0], &made[102]] {
        let run = run(&store, id).await;
        assert_eq!(run.status, RunStatus::Failed);
        assert!(run.error.unwrap().starts_with("expired"));
    }
    assert!(claim(&store, &worker(), &agent, at(10)).await.is_none());
}

async fn a_command_may_say_how_long_it_waits(database: Database) {
    let store = open(&database).await;
    scheduled_as(&store, &agent(), |mut run| {
        run.terms.queue_timeout_ms = Some(5000);
        run
    })
    .await;
    assert_eq!(recovered(&store, at(8) - MOMENT).await, (0, 0));
    assert_eq!(recovered(&store, at(8)).await, (1, 0));
}

/// The timeout is for waiting: what a worker had begins it anew, whichever way it comes back.
async fn a_wait_begins_anew_with_each_return(database: Database) {
    let store = open(&database).await;
    for (i, way) in ["lease", "hello", "unseen", "hand_back"].into_iter().enumerate() {
        let base = 10_000 * (i as i64 + 1);
        let agent = agent();
        let id = scheduled_as(&store, &agent, |mut run| {
            run.created_at = at(base);
            run.terms.queue_timeout_ms = Some(5000);
            run
        })
        .await;
        let worker = worker();
        let held = claim(&store, &worker, &agent, at(base + 1)).await.unwrap();
        if way != "unseen" {
            claims::start(&store, &held, at(base + 2)).await.unwrap();
        }
        let back = at(base + 1000);
        match way {
            "lease" => assert_eq!(recovered(&store, back).await, (0, 1), "{way}"),
            "hand_back" => drop(claims::hand_back(&store, &held, back).await.unwrap()),
            _ => assert_eq!(release_others(&store, &worker, &[], back).await.unwrap(), 1),
        }
        assert_eq!(
            recovered(&store, back + Duration::from_secs(5) - MOMENT).await,
            (0, 0),
            "{way}"
        );
        // And once more.
        let held = claim(&store, &worker, &agent, at(base + 1004)).await.expect(way);
        claims::hand_back(&store, &held, at(base + 2000)).await.unwrap();
        assert_eq!(recovered(&store, at(base + 2005) - MOMENT).await, (0, 0), "{way}");
        assert_eq!(run(&store, &id).await.status, RunStatus::Scheduled, "{way}");
        assert_eq!(recovered(&store, at(base + 2005)).await, (1, 0), "{way}");
        assert_eq!(run(&store, &id).await.status, RunStatus::Failed, "{way}");
    }
}

async fn a_lease_that_ran_out_is_released(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    claimed(&store, &agent, at(10)).await;
    assert_eq!(recovered(&store, at(10) + LEASE - MOMENT).await, (0, 0));
    assert_eq!(recovered(&store, at(10) + LEASE).await, (0, 1));
    assert!(claim(&store, &worker(), &agent, at(80)).await.is_some());
}

async fn an_offline_workers_commands_are_released_whatever_their_lease_says(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let (sender, _) = claimed(&store, &agent, at(10)).await;
    let (runner, running) = claimed(&store, &agent, at(10)).await;
    claims::start(&store, &running, at(20)).await.unwrap();
    // As a host whose clock is far ahead would have written it.
    let far = at(1_000_000).as_millis();
    let statement =
        format!("UPDATE commands SET lease_expires_at = {far} WHERE state <> 'pending'");
    database.execute(&statement).await;
    assert_eq!(recovered(&store, at(20) + RUNNING_MAX).await, (0, 0), "nobody is offline");
    for (worker, health) in [(&sender, "offline"), (&runner, "offline")] {
        let statement = format!(
            "INSERT INTO workers (id, workspace_id, name, approval, admin_state, health, draining, \
                                  leaving, agents, capacity, offer, registered_at) \
             VALUES ('{worker}', '', 'w', 'approved', 'active', '{health}', 0, 0, '[]', 1, '{{}}', 0)"
        );
        database.execute(&statement).await;
    }
    assert_eq!(recovered(&store, at(10) + SENT_MAX - MOMENT).await, (0, 0));
    assert_eq!(recovered(&store, at(10) + SENT_MAX).await, (0, 1));
    assert_eq!(recovered(&store, at(20) + RUNNING_MAX - MOMENT).await, (0, 0));
    assert_eq!(recovered(&store, at(20) + RUNNING_MAX).await, (0, 1));
    assert_eq!(run(&store, &running.run_id).await.status, RunStatus::Scheduled);
}

async fn the_third_loss_fails(database: Database) {
    let store = open(&database).await;
    let agent = agent();
    let id = scheduled(&store, &agent).await;
    for loss in 1..=3 {
        let now = at(100 * loss);
        claim(&store, &worker(), &agent, now).await.unwrap();
        assert_eq!(recovered(&store, now + LEASE).await, (0, 1));
    }
    let run = run(&store, &id).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert!(run.error.unwrap().starts_with("max dispatch attempts exceeded"));
}

async fn leases_are_left_alone_when_nobody_could_renew_them(database: Database) {
    let store = open(&database).await;
    claimed(&store, &agent(), at(10)).await;
    let kept = recover(&store, at(10) + LEASE, false).await.unwrap();
    assert_eq!(kept, Recovered::default());
}
