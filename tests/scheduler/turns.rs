//! Years of slots, each once; jitter; rows that cannot be read; turns that are no longer to be taken.

use std::time::Duration;

use hillock::clock::Clock;
use hillock::model::definition::{Definitions, Job};
use hillock::model::id::FireId;
use hillock::model::run::RunStatus;
use hillock::model::time::Time;
use hillock::schedule;
use hillock::store::schedules;
use serde_json::json;

use super::fixture::{Host, at, start, time};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(
    three_years_are_exactly_their_slots,
    a_run_knows_its_slot,
    jitter_delays_the_fire_and_not_the_slot,
    what_cannot_be_read_stands_in_nobodys_way,
    a_tick_that_is_repeated_does_nothing,
    a_job_that_has_changed_meanwhile_is_left_to_the_next_tick,
    batches_follow_each_other,
);

/// Steps through three years, from due time to due time, with a cron job over the changes of the
/// clocks, an every job and an at job.
async fn three_years_are_exactly_their_slots(database: Database) {
    let host = Host::open(database).await;
    let allow = || json!({ "overlap": "allow" });
    let cron = json!({ "cron": "30 2 * * *", "timezone": "Europe/Berlin" });
    let cron = host.job("cron", cron, allow()).await;
    let every = host.job("every", json!({ "every": "36h" }), allow()).await;
    let once = host.job("at", json!({ "at": "2027-06-01T12:00:00Z" }), allow()).await;

    let end = time("2029-01-01T00:00:00Z");
    let all = host.run_until(end).await;
    assert_eq!((all.skipped, all.missed), (0, 0));

    let slots = host.slots(&cron).await;
    assert_eq!(slots.len(), 1096, "a slot for each day, one of them the 29th of February");
    assert_eq!(slots, cron.schedule.slots(start(), end, start(), 2000));
    for wanted in [
        // Winter, the night that skips 2:30, summer, the night that has it twice.
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
        "2028-02-29T01:30:00Z",
    ] {
        assert!(slots.contains(&time(wanted)), "{wanted}");
    }
    let steps: Vec<Time> = (1..=730).map(|n| at(n * 36 * 3600)).filter(|t| *t <= end).collect();
    assert_eq!(host.slots(&every).await, steps);
    assert_eq!(host.slots(&once).await, [time("2027-06-01T12:00:00Z")]);
    assert_eq!(all.fired, 1096 + steps.len() + 1);
    assert_eq!(host.state(&once).await.next_run_at, None);
    for job in [&cron, &every] {
        let (state, slots) = (host.state(job).await, host.slots(job).await);
        assert_eq!(state.last_scheduled_at, slots.last().copied());
        assert_eq!((state.misfire_count, state.last_misfire_at), (0, None));
    }
}

async fn a_run_knows_its_slot(database: Database) {
    let host = Host::open(database).await;
    let fields = json!({
        "task": { "title": "Tidy up", "owner": "ops" }, "prompt": "say \"it's\" done\u{0}",
        "priority": "high", "fire_limit": { "max": 3, "window": "1h" },
    });
    let job = host.job("nightly", json!({ "every": "1h" }), fields).await;
    let tick = host.tick(at(3601)).await;
    assert_eq!((tick.fired, tick.next_due), (1, Some(at(7200))));
    let run = host.runs(&job).await.remove(0);
    let fire = run.made.fire.unwrap();
    assert_eq!((fire.id.clone(), fire.scheduled_at), (FireId::of(&job.id, at(3600)), at(3600)));
    assert_eq!((run.status, run.made.created_at), (RunStatus::Delegated, at(3601)));
    assert_eq!(run.made.prompt, "say \"it's\" done\u{fffd}");
    assert_eq!(run.made.task.unwrap().owner.as_deref(), Some("ops"));
    assert_eq!((run.made.priority, run.made.retry), (job.priority, job.retry));
    let state = host.state(&job).await;
    assert_eq!(state.last_run_at, Some(at(3601)));
    assert_eq!(state.last_scheduled_at, Some(at(3600)));
    assert_eq!(state.last_fire_id, Some(fire.id));
    assert_eq!(state.schedule_hash, job.schedule.hash());
    assert_eq!((state.next_run_at, state.due_at), (Some(at(7200)), Some(at(7200))));
    let claims = host.claim(at(3601)).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].run_id, run.delegation.unwrap().task_run_id);
}

async fn jitter_delays_the_fire_and_not_the_slot(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("late", json!({ "every": "1h" }), json!({ "jitter": "30m" })).await;
    let offset = job.offset();
    assert!(!offset.is_zero() && offset < Duration::from_secs(1800));
    assert_eq!(host.tick((at(3600) + offset).before()).await.fired, 0);
    let tick = host.tick(at(3600) + offset).await;
    assert_eq!((tick.fired, tick.next_due), (1, Some(at(7200) + offset)));
    assert_eq!(host.slots(&job).await, [at(3600)]);
}

async fn what_cannot_be_read_stands_in_nobodys_way(database: Database) {
    let host = Host::open(database).await;
    let broken = host.job("broken", json!({ "every": "1h" }), json!({})).await;
    let sound = host.job("sound", json!({ "every": "1h" }), json!({})).await;
    let spoil =
        |spec: &str| format!("UPDATE definitions SET spec = '{spec}' WHERE id = '{}'", broken.id);
    host.database.execute(&spoil(r#"{"name":"broken"}"#)).await;
    let tick = host.tick(at(3600)).await;
    assert_eq!((tick.fired, tick.deferred), (1, 1));
    assert_eq!(host.slots(&sound).await, [at(3600)]);
    // Put off, for longer each time, its slot kept.
    let state = host.state(&broken).await;
    assert_eq!((state.consecutive_resume_failures, state.due_at), (1, Some(at(3660))));
    assert_eq!(state.next_run_at, Some(at(3600)));
    host.database.execute(&spoil("not JSON")).await;
    assert_eq!(host.tick(at(3660)).await.deferred, 1);
    let state = host.state(&broken).await;
    assert_eq!((state.consecutive_resume_failures, state.due_at), (2, Some(at(3780))));
    // Mended, it goes on; the slot is missed by then.
    let spec = r#"{"name":"broken","agent":"worker","prompt":"p","schedule":{"every":"1h"}}"#;
    host.database.execute(&spoil(spec)).await;
    let tick = host.tick(at(3780)).await;
    assert_eq!((tick.fired, tick.missed, tick.deferred), (0, 1, 0));
    let state = host.state(&broken).await;
    assert_eq!((state.consecutive_resume_failures, state.due_at), (0, Some(at(7200))));
}

async fn a_tick_that_is_repeated_does_nothing(database: Database) {
    let host = Host::open(database).await;
    let job = host.job("hourly", json!({ "every": "1h" }), json!({})).await;
    assert_eq!(host.tick(at(3600)).await.fired, 1);
    let before = host.state(&job).await;
    let again = host.tick(at(3600)).await;
    assert_eq!((again.fired, again.skipped, again.missed), (0, 0, 0));
    assert_eq!(host.state(&job).await, before);
    assert_eq!(host.runs(&job).await.len(), 1);
}

/// Between the read and the claim, the definition gets another revision, is switched off, or is
/// gone.
async fn a_job_that_has_changed_meanwhile_is_left_to_the_next_tick(database: Database) {
    let host = Host::open(database).await;
    for change in [
        "UPDATE definitions SET revision = 2 WHERE id = '{id}'",
        "UPDATE definitions SET overlay = 0 WHERE id = '{id}'",
        "UPDATE schedules SET next_run_at = next_run_at + 1 WHERE job_id = '{id}'",
        "DELETE FROM definitions WHERE id = '{id}'",
    ] {
        let job = host.job("hourly", json!({ "every": "1h" }), json!({})).await;
        let due = schedules::due(&host.store, at(3600), 10).await.unwrap();
        let turns = schedule::turns(due, &Definitions::default(), Clock, at(3600)).await.unwrap().0;
        assert_eq!(turns.len(), 1);
        host.database.execute(&change.replace("{id}", job.id.as_str())).await;
        let claimed = schedules::claim(&host.store, turns, at(3600)).await.unwrap();
        assert_eq!((claimed.won, claimed.fired), (0, 0), "{change}");
        assert!(host.runs(&job).await.is_empty(), "{change}");
        host.database.execute(&format!("DELETE FROM definitions WHERE id = '{}'", job.id)).await;
    }
}

async fn batches_follow_each_other(database: Database) {
    let host = Host::open(database).await;
    let mut jobs: Vec<Job> = vec![];
    for n in 0..schedule::BATCH + 20 {
        jobs.push(host.job(&format!("job-{n}"), json!({ "every": "1h" }), json!({})).await);
    }
    let first = host.tick(at(3600)).await;
    assert_eq!((first.fired, first.next_due), (schedule::BATCH as usize, Some(at(3600))));
    let second = host.tick(at(3600)).await;
    assert_eq!((second.fired, second.next_due), (20, Some(at(7200))));
    for job in jobs.iter().step_by(50) {
        assert_eq!(host.slots(job).await, [at(3600)]);
    }
}
