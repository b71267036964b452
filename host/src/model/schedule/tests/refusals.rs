//! What is no schedule, and the reason given.

use super::*;

fn problems(spec: &Spec<'_>) -> Vec<(String, String)> {
    let problems = Schedule::parse(spec).expect_err(&format!("{spec:?}"));
    problems.iter().map(|problem| (problem.path.clone(), problem.reason.clone())).collect()
}

fn check(path: &str, spec: impl Fn(&'static str) -> Spec<'static>, rows: &[(&'static str, &str)]) {
    for (text, reason) in rows {
        let found = problems(&spec(text));
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert_eq!(found[0].0, path, "{text:?}: {found:?}");
        assert!(found[0].1.contains(reason), "{text:?}: {found:?}");
    }
}

#[test]
fn of_five_fields() {
    check(
        "cron",
        |text| Spec { cron: Some(text), ..Spec::default() },
        &[
            ("", "`` has 0 fields, not 5: minute, hour, day of month, month, day of week"),
            ("   ", "has 0 fields, not 5"),
            ("* * * *", "`* * * *` has 4 fields, not 5"),
            ("0 0 9 * * *", "has 6 fields, not 5; a leading one for seconds needs"),
            ("0 0 9 * * * 2026", "has 7 fields, not 5"),
            ("CRON_TZ=UTC 0 9 * * *", "has 6 fields"),
            ("60 * * * *", "the minute `60`: 60 is not within 0 to 59"),
            ("0 24 * * *", "the hour `24`: 24 is not within 0 to 23"),
            ("0 0 0 * *", "the day of month `0`: 0 is not within 1 to 31"),
            ("0 0 32 * *", "32 is not within 1 to 31"),
            ("0 0 1 0 *", "the month `0`: 0 is not within 1 to 12"),
            ("0 0 1 13 *", "13 is not within 1 to 12"),
            ("0 0 * * 8", "the day of week `8`: 8 is not within 0 to 7"),
            ("99999999999999999999 * * * *", "99999999999999999999 is not within 0 to 59"),
            ("0-60 * * * *", "60 is not within 0 to 59"),
            ("-1 * * * *", "a range needs both its ends"),
            ("1- * * * *", "a range needs both its ends"),
            ("1-2-3 * * * *", "`2-3` is not a number"),
            ("1,,2 * * * *", "the minute `1,,2`: an item of the list is empty"),
            (",1 * * * *", "an item of the list is empty"),
            ("1, * * * *", "an item of the list is empty"),
            (", * * * *", "an item of the list is empty"),
            ("*/0 * * * *", "`0` is not a step: a number from 1 on"),
            ("*/ * * * *", "`` is not a step"),
            ("*/-2 * * * *", "`-2` is not a step"),
            ("*/+2 * * * *", "`+2` is not a step"),
            ("*/2/3 * * * *", "`2/3` is not a step"),
            ("*/x * * * *", "`x` is not a step"),
            ("5/15 * * * *", "a step needs a range or `*` to step over: `5-59/15`"),
            ("0 0 * * mon/2", "`mon-7/2`"),
            ("61/2 * * * *", "61 is not within 0 to 59"),
            ("/5 * * * *", "`` is not a number"),
            ("30-10 * * * *", "the range `30-10` runs backwards: `30-59,0-10` goes around"),
            ("0 22-2 * * *", "`22-23,0-2` goes around"),
            ("0 0 1 nov-feb *", "`nov-12,1-feb` goes around"),
            ("0 0 * * fri-sun", "the range `fri-sun` runs backwards: `fri-7` ends on Sunday"),
            ("0 0 * * 6-1", "`6-7,0-1` goes around"),
            ("+5 * * * *", "`+5` is not a number"),
            ("1.5 * * * *", "`1.5` is not a number"),
            ("٣ * * * *", "`٣` is not a number"),
            ("** * * * *", "`**` is not a number"),
            ("*-5 * * * *", "`*` is not a number"),
            ("mon * * * *", "`mon` is not a number"),
            ("0 0 1 mon *", "`mon` is not a number or a name from jan to dec"),
            ("0 0 * * monday", "`monday` is not a number or a name from sun to sat"),
            ("0 0 L * *", "`L` is Quartz's"),
            ("0 0 L-3 * *", "`L` is Quartz's"),
            ("0 0 15W * *", "`15W` is Quartz's"),
            ("0 0 LW * *", "`LW` is Quartz's"),
            ("0 0 ? * 1", "`?` is Quartz's"),
            ("0 0 * * 5L", "`5L` is Quartz's"),
            ("0 0 * * fri#2", "`fri#2` is Quartz's"),
            ("H * * * *", "`H` is not a number"),
            ("0~30 * * * *", "`0~30` is not a number"),
            ("0 0 30 2 *", "`0 0 30 2 *` never comes: none of its months has such a day"),
            ("0 0 31 4,6 *", "never comes"),
            ("0 0 31 2,4,6,9,11 *", "never comes"),
            ("0 0 30-31 feb */2", "never comes"),
            ("@reboot", "there is no `@reboot`: @hourly, "),
            ("@every 5m", "there is no `@every 5m`"),
            ("@", "there is no `@`"),
        ],
    );
}

#[test]
fn of_six_fields() {
    check(
        "cron",
        |text| Spec { cron: Some(text), seconds: true, ..Spec::default() },
        &[
            ("0 9 * * *", "`0 9 * * *` has 5 fields, not 6: second, minute, hour, "),
            ("0 0 9 * * * *", "has 7 fields, not 6"),
            ("60 0 9 * * *", "the second `60`: 60 is not within 0 to 59"),
            ("0 60 9 * * *", "the minute `60`"),
            ("@daily", "`@daily` says nothing of seconds"),
            ("0 0 0 30 2 *", "never comes"),
        ],
    );
}

#[test]
fn of_durations() {
    check(
        "every",
        |text| Spec { every: Some(text), ..Spec::default() },
        &[
            ("", "`` is not a duration such as 90s, 15m or 1h 30m"),
            ("15", "`15` is not a duration"),
            ("-5m", "`-5m` is not a duration"),
            ("5 parsecs", "`5 parsecs` is not a duration"),
            ("PT5M", "`PT5M` is not a duration"),
            ("99999999999999999999s", "is not a duration"),
            ("0s", "`0s` is less than a second"),
            ("0", "less than a second"),
            ("999ms", "`999ms` is less than a second"),
            ("1s 1us", "`1s 1us` is not a whole number of milliseconds"),
            ("101years", "`101years` is more than a hundred years"),
        ],
    );
}

#[test]
fn of_instants() {
    let rows = [
        ("", "`` is not an RFC 3339 instant"),
        ("tomorrow", "`tomorrow` is not an RFC 3339 instant"),
        ("2026-01-01", "is not an RFC 3339 instant"),
        ("2026-01-01T00:00:00", "is not an RFC 3339 instant"),
        ("2026-02-29T00:00:00Z", "is not an RFC 3339 instant"),
        ("1969-12-31T23:59:59Z", "is not an RFC 3339 instant"),
        ("10000-01-01T00:00:00Z", "is not an RFC 3339 instant"),
    ];
    check("at", |text| Spec { at: Some(text), ..Spec::default() }, &rows);
    let anchored = |text| Spec { every: Some("1h"), anchor: Some(text), ..Spec::default() };
    check("anchor", anchored, &rows);
}

#[test]
fn of_time_zones() {
    let rows = [
        ("", "`` is not an IANA time zone such as Europe/Berlin"),
        ("Europe/Berlinn", "`Europe/Berlinn` is not an IANA time zone"),
        (
            "europe/berlin",
            "`europe/berlin` is not an IANA time zone such as Europe/Berlin; is `Europe/Berlin` meant?",
        ),
        ("utc", "is `UTC` meant?"),
        ("America/new york", "is `America/New_York` meant?"),
        ("Kathmandu", "is `Asia/Kathmandu` meant?"),
        (" Europe/Berlin ", "is `Europe/Berlin` meant?"),
        ("+02:00", "`+02:00` is not an IANA time zone"),
        ("CET-1CEST", "is not an IANA time zone"),
        ("Etc/Unknown", "is not an IANA time zone"),
        ("../etc/passwd", "is not an IANA time zone"),
        ("localtime", "is not an IANA time zone"),
    ];
    check(
        "timezone",
        |text| Spec { cron: Some("0 9 * * *"), timezone: Some(text), ..Spec::default() },
        &rows,
    );
    check(
        "timezone",
        |text| Spec { every: Some("1h"), timezone: Some(text), ..Spec::default() },
        &rows,
    );
    let at = Some("2026-01-01T00:00:00Z");
    check("timezone", |text| Spec { at, timezone: Some(text), ..Spec::default() }, &rows);
}

#[test]
fn of_what_does_not_go_together() {
    let (cron, every, at) = (Some("0 9 * * *"), Some("1h"), Some("2026-01-01T00:00:00Z"));
    let none = Spec::default();
    for (spec, wanted) in [
        (none, &["cron"][..]),
        (Spec { timezone: Some("UTC"), ..none }, &["cron"]),
        (Spec { seconds: true, anchor: at, ..none }, &["cron", "seconds", "anchor"]),
        (Spec { cron, every, ..none }, &["every"]),
        (Spec { cron, at, ..none }, &["at"]),
        (Spec { every, at, ..none }, &["at"]),
        (Spec { cron, every, at, ..none }, &["every", "at"]),
        (Spec { cron, anchor: at, ..none }, &["anchor"]),
        (Spec { at, anchor: at, ..none }, &["anchor"]),
        (Spec { every, seconds: true, ..none }, &["seconds"]),
        (Spec { at, seconds: true, ..none }, &["seconds"]),
    ] {
        let found = problems(&spec);
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, wanted, "{spec:?}: {found:?}");
    }
}

#[test]
fn everything_at_once() {
    let spec = Spec {
        cron: Some("60 24 1,,2 * 9"),
        every: Some("soon"),
        at: Some("later"),
        seconds: false,
        anchor: Some("never"),
        timezone: Some("Mars/Olympus"),
    };
    let found = problems(&spec);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let cron = ["cron"; 4];
    let wanted = [&["timezone", "every", "at"], &cron[..], &["every", "anchor", "at"]].concat();
    assert_eq!(paths, wanted, "{found:?}");
}

#[test]
fn of_what_is_too_long_to_quote() {
    let long = "0,".repeat(600) + "0 9 * * *";
    for (spec, path) in [
        (Spec { cron: Some(&long), ..Spec::default() }, "cron"),
        (Spec { every: Some(&long), ..Spec::default() }, "every"),
        (Spec { at: Some(&long), ..Spec::default() }, "at"),
        (Spec { every: Some("1h"), anchor: Some(&long), ..Spec::default() }, "anchor"),
    ] {
        let wanted = vec![(path.to_owned(), "is longer than 1024 bytes".to_owned())];
        assert_eq!(problems(&spec), wanted);
    }
    let found = problems(&Spec { every: Some("1h"), timezone: Some(&long), ..Spec::default() });
    assert!(found[0].1.len() < 200, "{found:?}");
}
