use std::time::Duration;

use proptest::prelude::*;

use super::super::definition::{Demands, Overlap, Priority, Retry, Work};
use super::super::id::JobId;
use super::super::schedule::{Schedule, Spec};
use super::super::scope::Scope;
use super::*;

/// A schedule, the cursor, the present, and what the turn is.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// A Monday; `every` is anchored at its midnight.
const DAY: &str = "2026-03-02T00:00:00Z";

#[rustfmt::skip]
const SKIP: &[Row] = &[
    ("every 10m",       "10:00", "09:59:59.999", "not due"),
    ("every 10m",       "10:00", "10:00",        "fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:00:30",     "fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:01",        "fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:01:00.001", "misfired; missed 1; next 10:10"),
    ("every 10m",       "10:00", "10:09:59",     "misfired; missed 1; next 10:10"),
    // 10:10 is due and not missed: it is the next turn's.
    ("every 10m",       "10:00", "10:10",        "misfired; missed 1; next 10:10"),
    ("every 10m",       "10:00", "10:11",        "misfired; missed 1; next 10:10"),
    ("every 10m",       "10:00", "10:11:00.001", "misfired; missed 2; next 10:20"),
    ("every 10m",       "10:00", "12:05",        "misfired; missed 13; next 12:10"),
    // Slots closer than the grace follow each other.
    ("every 10s",       "10:00", "10:00:50",     "fires 10:00; next 10:00:10"),
    ("every 10s",       "10:00", "10:01:05",     "misfired; missed 1; next 10:00:10"),
    ("every 10s",       "10:00", "10:05",        "misfired; missed 24; next 10:04"),
    ("cron 0 * * * *",  "10:00", "10:00",        "fires 10:00; next 11:00"),
    ("cron 0 * * * *",  "10:00", "13:30",        "misfired; missed 4; next 14:00"),
    ("cron 0 * * * *",  "10:00", "13:01",        "misfired; missed 3; next 13:00"),
    ("at 10:00",        "10:00", "09:00",        "not due"),
    ("at 10:00",        "10:00", "10:00:59",     "fires 10:00"),
    ("at 10:00",        "10:00", "10:02",        "misfired; missed 1"),
    ("at 10:00",        "10:00", "23:00",        "misfired; missed 1"),
    // A fire limit has put the cursor beside the schedule: it is a slot all the same.
    ("every 10m",       "10:03", "10:03",        "fires 10:03; next 10:10"),
    ("every 10m",       "10:03", "10:25",        "misfired; missed 3; next 10:30"),
];

#[rustfmt::skip]
const COALESCE: &[Row] = &[
    ("every 10m",       "10:00", "09:59",        "not due"),
    ("every 10m",       "10:00", "10:01",        "fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:05",        "misfired; fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:10",        "misfired; fires 10:10; missed 1; next 10:20"),
    ("every 10m",       "10:00", "12:05",        "misfired; fires 12:00; missed 12; next 12:10"),
    ("every 10m",       "10:00", "12:00",        "misfired; fires 12:00; missed 12; next 12:10"),
    ("every 10m",       "10:00", "11:59:59.999", "misfired; fires 11:50; missed 11; next 12:00"),
    ("every 10m",       "10:03", "10:25",        "misfired; fires 10:20; missed 2; next 10:30"),
    ("every 10m",       "10:03", "10:09",        "misfired; fires 10:03; next 10:10"),
    ("cron 0 * * * *",  "10:00", "13:30",        "misfired; fires 13:00; missed 3; next 14:00"),
    ("at 10:00",        "10:00", "10:00:10",     "fires 10:00"),
    ("at 10:00",        "10:00", "23:00",        "misfired; fires 10:00"),
];

/// At most three are caught up with.
#[rustfmt::skip]
const CATCH_UP: &[Row] = &[
    ("every 10m",       "10:00", "09:59",        "not due"),
    ("every 10m",       "10:00", "10:01",        "fires 10:00; next 10:10"),
    ("every 10m",       "10:00", "10:05",        "misfired; fires 10:00 +; next 10:10"),
    // 10:10 is due and not missed: it is the next turn's.
    ("every 10m",       "10:00", "10:10:30",     "misfired; fires 10:00 +; next 10:10"),
    ("every 10m",       "10:00", "10:15",        "misfired; fires 10:00 10:10 +; next 10:20"),
    ("every 10m",       "10:00", "10:25",        "misfired; fires 10:00 10:10 10:20 +; next 10:30"),
    ("every 10m",       "10:00", "10:35",
     "misfired; fires 10:00 10:10 10:20 +; missed 1; next 10:40"),
    ("every 10m",       "10:00", "12:05",
     "misfired; fires 10:00 10:10 10:20 +; missed 10; next 12:10"),
    ("every 10m",       "10:03", "10:25",        "misfired; fires 10:03 10:10 10:20 +; next 10:30"),
    ("cron 0 * * * *",  "10:00", "11:30",        "misfired; fires 10:00 11:00 +; next 12:00"),
    ("at 10:00",        "10:00", "10:00:10",     "fires 10:00"),
    ("at 10:00",        "10:00", "23:00",        "misfired; fires 10:00 +"),
];

#[test]
fn turns_are_as_the_tables_say() {
    let rows =
        [(CatchUp::SkipMissed, SKIP), (CatchUp::Coalesce, COALESCE), (CatchUp::CatchUp, CATCH_UP)];
    for (policy, rows) in rows {
        for (schedule, cursor, now, wanted) in rows {
            let job = job(schedule, policy);
            let turn = Turn::of(&job, time("00:00"), time(cursor), time(now));
            assert_eq!(shown(turn), *wanted, "{schedule}, {policy:?}, at {now}");
        }
    }
}

/// An offset shifts everything but the slots.
#[test]
fn jitter_makes_every_slot_late_by_the_same() {
    let jitter = Duration::from_secs(5 * 60);
    for policy in [CatchUp::SkipMissed, CatchUp::Coalesce, CatchUp::CatchUp] {
        let plain = job("every 10m", policy);
        let late = Job { jitter, ..plain.clone() };
        assert!(late.offset() > Duration::ZERO && late.offset() < jitter);
        for now in ["09:59", "10:00", "10:01", "10:15", "12:05"].map(time) {
            let (anchored, cursor) = (time("00:00"), time("10:00"));
            let wanted = Turn::of(&plain, anchored, cursor, now);
            let turn = Turn::of(&late, anchored, cursor, now + late.offset());
            assert_eq!(turn, wanted, "{policy:?} at {now}");
        }
    }
}

#[test]
fn without_grace_only_the_very_instant_is_in_time() {
    let job = Job { misfire_grace: Duration::ZERO, ..job("every 10m", CatchUp::SkipMissed) };
    let turn = |now| shown(Turn::of(&job, time("00:00"), time("10:00"), time(now)));
    assert_eq!(turn("10:00"), "fires 10:00; next 10:10");
    assert_eq!(turn("10:00:00.001"), "misfired; missed 1; next 10:10");
    assert_eq!(turn("10:10"), "misfired; missed 1; next 10:10");
}

#[test]
fn years_of_minutes_are_counted_to_the_last() {
    let minutely = job("cron * * * * *", CatchUp::Coalesce);
    let later = time("10:00") + Duration::from_secs(3 * 365 * 24 * 60 * 60);
    let turn = Turn::of(&minutely, time("00:00"), time("10:00"), later).unwrap();
    assert_eq!(turn.missed, 3 * 365 * 24 * 60);
    assert_eq!(turn.fires, [later]);

    let secondly = job("every 1s", CatchUp::SkipMissed);
    let turn = Turn::of(&secondly, time("00:00"), time("10:00"), later).unwrap();
    assert_eq!(turn.missed, 3 * 365 * 24 * 60 * 60 - 60);
}

proptest! {
    /// Turn by turn, whenever they are taken, no slot is passed over and none comes twice: each
    /// fires or is counted.
    #[test]
    fn every_slot_fires_or_is_counted(
        policy in 0..3usize,
        schedule in 0..4usize,
        grace in 0..400u64,
        jitter in 0..400u64,
        waits in prop::collection::vec(0..7200u64, 1..40),
    ) {
        let policy = [CatchUp::SkipMissed, CatchUp::Coalesce, CatchUp::CatchUp][policy];
        let schedule = ["every 1m", "every 7m", "cron */5 * * * *", "cron 0 * * * *"][schedule];
        let job = Job {
            misfire_grace: Duration::from_secs(grace),
            jitter: Duration::from_secs(jitter),
            ..job(schedule, policy)
        };
        let anchored = time("00:00");
        let first = job.schedule.next_after(time("10:00"), anchored).unwrap();
        let (mut cursor, mut now) = (first, first);
        let (mut fired, mut missed) = (vec![], 0);
        for wait in waits {
            now = now + Duration::from_secs(wait);
            while let Some(turn) = Turn::of(&job, anchored, cursor, now) {
                prop_assert!(turn.fires.iter().all(|slot| *slot + job.offset() <= now));
                prop_assert_eq!(turn.missed > 0 && !turn.misfired, false);
                fired.extend(turn.fires);
                missed += turn.missed;
                cursor = turn.next.unwrap();
            }
            prop_assert!(cursor + job.offset() > now);
        }
        prop_assert!(fired.is_sorted_by(|one, next| one < next), "{:?}", fired);
        let all = job.schedule.slots(first.before(), cursor.before(), anchored, 100_000);
        prop_assert!(fired.iter().all(|slot| all.contains(slot)));
        prop_assert_eq!(fired.len() as u64 + missed, all.len() as u64);
    }
}

fn job(schedule: &str, catch_up: CatchUp) -> Job {
    let (mode, text) = schedule.split_once(' ').unwrap();
    let at = time_text(text);
    let mut spec = Spec::default();
    match mode {
        "cron" => spec.cron = Some(text),
        "every" => spec.every = Some(text),
        _ => spec.at = Some(&at),
    }
    Job {
        id: JobId::derive(&Scope::Global, "nightly"),
        scope: Scope::Global,
        name: "nightly".parse().unwrap(),
        schedule: Schedule::parse(&spec).unwrap(),
        work: Work::Prompt("work".to_owned()),
        agent: "worker".parse().unwrap(),
        retry: Retry::None,
        fire_limit: None,
        priority: Priority::Normal,
        demands: Demands::default(),
        overlap: Overlap::Skip,
        catch_up,
        misfire_grace: Duration::from_secs(60),
        catch_up_max: 3,
        jitter: Duration::ZERO,
        enabled: true,
    }
}

/// `10:00` as an instant of [`DAY`].
fn time(clock: &str) -> Time {
    time_text(clock).parse().unwrap()
}

fn time_text(clock: &str) -> String {
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    format!("{}{clock}{seconds}Z", &DAY[..11])
}

fn shown(turn: Option<Turn>) -> String {
    let Some(turn) = turn else { return "not due".to_owned() };
    let clock = |time: &Time| {
        let text = time.to_string();
        let clock = text[11..].trim_end_matches(".000Z");
        clock.strip_suffix(":00").unwrap_or(clock).to_owned()
    };
    let mut parts = vec![];
    if turn.misfired {
        parts.push("misfired".to_owned());
    }
    if !turn.fires.is_empty() {
        let fires: Vec<String> = turn.fires.iter().map(clock).collect();
        let catching_up = if turn.catching_up { " +" } else { "" };
        parts.push(format!("fires {}{catching_up}", fires.join(" ")));
    }
    if turn.missed > 0 {
        parts.push(format!("missed {}", turn.missed));
    }
    if let Some(next) = turn.next {
        parts.push(format!("next {}", clock(&next)));
    }
    parts.join("; ")
}
