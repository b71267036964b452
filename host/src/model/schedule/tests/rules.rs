//! What each rule means, by examples. Those of cron are rows of `slots.txt`, written from the rules
//! of Vixie cron and of the clocks, and checked with a program of its own against another copy of
//! the time zones.

use super::*;
use crate::model::schedule::Mode;

const SLOTS: &str = include_str!("slots.txt");

#[test]
fn cron_by_the_table() {
    let lines = SLOTS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut rows = 0;
    for line in lines {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [expression, zone, from, wanted] = cells[..] else { panic!("{line}") };
        let schedule = cron(expression, zone);
        let wanted: Vec<&str> = wanted.split(' ').collect();
        let until = Time::from_millis(253_402_300_799_999).unwrap();
        let slots = schedule.slots(time(from), until, Time::EPOCH, wanted.len());
        let shown: Vec<String> = slots.iter().map(|slot| shown(&schedule, *slot)).collect();
        assert_eq!(shown, wanted, "{line}");
        rows += 1;
    }
    assert!(rows > 100, "{rows}");
}

/// A slot in the words of the table.
fn shown(schedule: &Schedule, slot: Time) -> String {
    let text = if schedule.timezone() == "UTC" { slot.to_string() } else { schedule.local(slot) };
    text.replace(".000", "")
}

#[test]
fn every_is_a_grid_that_begins_after_its_anchor() {
    let own = every("6h", Some("2026-01-01T03:00:00+01:00"));
    let anchored = time("2026-05-05T05:05:05.005Z");
    for (after, wanted) in [
        ("1970-01-01T00:00:00Z", "2026-01-01T08:00:00Z"),
        ("2026-01-01T01:59:59.999Z", "2026-01-01T08:00:00Z"),
        ("2026-01-01T02:00:00Z", "2026-01-01T08:00:00Z"),
        ("2026-01-01T07:59:59.999Z", "2026-01-01T08:00:00Z"),
        ("2026-01-01T08:00:00Z", "2026-01-01T14:00:00Z"),
        ("2026-03-29T00:30:00Z", "2026-03-29T02:00:00Z"),
    ] {
        assert_eq!(own.next_after(time(after), anchored), Some(time(wanted)), "{after}");
    }
    let job = every("1m 30s", None);
    assert_eq!(job.next_after(anchored, anchored), Some(time("2026-05-05T05:06:35.005Z")));
    assert_eq!(job.next_after(Time::EPOCH, anchored), Some(time("2026-05-05T05:06:35.005Z")));
    let later = time("2026-05-05T05:08:05.005Z");
    assert_eq!(job.slots(anchored, later, anchored, 9), [time("2026-05-05T05:06:35.005Z"), later]);
}

#[test]
fn at_comes_once() {
    let schedule = once("2026-03-29T03:30:00.25+02:00");
    let slot = time("2026-03-29T01:30:00.250Z");
    assert_eq!(schedule.next_after(time("2026-03-29T01:30:00.249Z"), Time::EPOCH), Some(slot));
    assert_eq!(schedule.next_after(slot, Time::EPOCH), None);
    assert_eq!(schedule.count(Time::EPOCH, slot, Time::EPOCH, 9), 1);
    assert_eq!(schedule.count(slot, time("2027-01-01T00:00:00Z"), Time::EPOCH, 9), 0);
}

#[test]
fn time_ends_with_the_year_9999() {
    let end = Time::from_millis(253_402_300_799_999).unwrap();
    for schedule in [cron("* * * * *", "UTC"), cron("0 0 29 2 *", "Asia/Tokyo"), every("1s", None)]
    {
        assert_eq!(schedule.next_after(end, Time::EPOCH), None, "{schedule}");
        assert!(schedule.local(end).starts_with("9999-12-31T23:59:59"), "{schedule}");
    }
    let last = cron("0 0 29 2 *", "UTC").next_after(time("9992-03-01T00:00:00Z"), Time::EPOCH);
    assert_eq!(last, Some(time("9996-02-29T00:00:00Z")));
    let beyond = cron("0 0 29 2 *", "UTC").next_after(time("9996-03-01T00:00:00Z"), Time::EPOCH);
    assert_eq!(beyond, None);
}

#[test]
fn counting_is_arithmetic_but_for_cron() {
    let (from, until) = (time("2026-01-01T00:00:00Z"), time("2026-12-31T00:00:00Z"));
    let seconds_of_364_days = 364 * 24 * 60 * 60;
    assert_eq!(every("1s", None).count(from, until, from, 10), seconds_of_364_days);
    assert_eq!(cron("* * * * * *", "UTC").count(from, until, from, 10), 10);
    assert_eq!(cron("0 0 * * *", "UTC").count(from, until, from, 1000), 364);
    for schedule in [cron("* * * * *", "UTC"), every("1s", None), once("2026-02-01T00:00:00Z")] {
        assert_eq!(schedule.count(until, from, from, 10), 0, "backwards, {schedule}");
        assert!(schedule.slots(until, from, from, 10).is_empty(), "backwards, {schedule}");
        assert!(schedule.slots(from, until, from, 0).is_empty(), "none wanted, {schedule}");
    }
}

#[test]
fn a_hash_is_of_the_meaning() {
    let same = [
        [cron("0 9 * * mon-fri", "UTC"), cron("0  9 *  * 1-5", "UTC")],
        [cron("0 9 * * 0", "UTC"), cron("0 0 9 * * SUN", "UTC")],
        [cron("@daily", "UTC"), cron("0 0 */1 * 0-7", "UTC")],
        [every("90m", None), every("1h 30m", None)],
        [once("2026-01-01T00:00:00Z"), once("2026-01-01T01:00:00+01:00")],
    ];
    for [one, other] in same {
        assert_eq!(one.hash(), other.hash(), "{one}, {other}");
    }
    let different = [
        cron("0 9 * * 1-5", "UTC"),
        cron("0 9 * * 1-5", "Europe/Berlin"),
        cron("0 9 * * 1-6", "UTC"),
        cron("1 9 * * 1-5", "UTC"),
        cron("0 9 1 * 1", "UTC"),
        cron("0 9 1,* * 1", "UTC"),
        cron("0 9 */31 * 1", "UTC"),
        cron("1 0 9 * * 1-5", "UTC"),
        every("1h", None),
        every("2h", None),
        every("1h", Some("2026-01-01T00:00:00Z")),
        every("1h", Some("2026-01-01T00:00:01Z")),
        once("2026-01-01T00:00:00Z"),
        once("2026-01-01T00:00:01Z"),
    ];
    let mut hashes: Vec<String> = different.iter().map(Schedule::hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), different.len());
}

/// Stored beside cursors: another form of the same would reset every one of them.
#[test]
fn a_hash_stays_what_it_is() {
    for (schedule, meaning, hash) in [
        (
            cron("0 9 * * 1-5", "Europe/Berlin"),
            "cron 1 1 200 1ffe fffffffe and 3e Europe/Berlin",
            "a7417fa9d0d56e0de7aa3491713642d542148d39688b539f9fc727f4f8ef662c",
        ),
        (
            every("15m", Some("2026-01-01T00:00:00Z")),
            "every 900000 from 1767225600000",
            "b9a79a3879274360a63fe3ed49488af3025f18f96301e271b33c1748e3ea3d4a",
        ),
        (
            once("2026-01-01T00:00:00Z"),
            "at 1767225600000",
            "fb8fbb34c5feae0691a99bddeb73d6eaea3d381e723dfab4d8e8f22720d64ee3",
        ),
    ] {
        assert_eq!(schedule.hash(), hash, "SHA-256 of {meaning:?}");
    }
}

#[test]
fn schedules_are_shown_to_people() {
    for (schedule, wanted) in [
        (cron("0 9 * * 1-5", "Europe/Berlin"), "cron 0 9 * * 1-5 Europe/Berlin"),
        (cron("30 0 9 * *\tmon ", "UTC"), "cron 30 0 9 * * mon UTC"),
        (cron("@Daily", "UTC"), "cron @Daily UTC"),
        (every(" 15m ", None), "every 15m"),
        (
            every("15m", Some("2026-01-01T01:00:00+01:00")),
            "every 15m from 2026-01-01T00:00:00.000Z",
        ),
        (once("2026-01-01T01:00:00+01:00"), "at 2026-01-01T01:00:00+01:00"),
    ] {
        assert_eq!(schedule.to_string(), wanted);
    }
}

#[test]
fn words_of_modes_read_back() {
    for (mode, word) in Mode::ALL {
        assert_eq!((word.parse(), mode.to_string().as_str()), (Ok(mode), word));
        assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{word}\""));
    }
    assert!("Cron".parse::<Mode>().is_err());
}

/// The zone says how slots are shown, and no more.
#[test]
fn a_zone_may_stand_beside_every_and_at() {
    let timezone = Some("Asia/Kathmandu");
    let spec = Spec { every: Some("1h"), timezone, ..Spec::default() };
    let schedule = parsed(&spec);
    assert_eq!(schedule.local(Time::EPOCH), "1970-01-01T05:30:00.000+05:30");
    assert_eq!(schedule.hash(), every("1h", None).hash());
}
