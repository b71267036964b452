//! What holds for any schedule.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::oracle::Oracle;
use super::*;

/// Zones of all kinds of shifts.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Santiago",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
];

/// An item of a field, such as `7`, `*/2` or `3-9/4`.
fn item(low: i8, high: i8) -> impl Strategy<Value = String> {
    let range = (low..=high).prop_flat_map(move |first| (Just(first), first..=high));
    prop_oneof![
        3 => (low..=high).prop_map(|value| value.to_string()),
        1 => Just("*".to_owned()),
        1 => (1..=high).prop_map(|step| format!("*/{step}")),
        1 => range.clone().prop_map(|(first, last)| format!("{first}-{last}")),
        1 => (range, 1..=high).prop_map(|((first, last), step)| format!("{first}-{last}/{step}")),
    ]
}

fn field(low: i8, high: i8) -> impl Strategy<Value = String> {
    prop::collection::vec(item(low, high), 1..4).prop_map(|items| items.join(","))
}

/// A field that is often unrestricted, so that schedules are not all rare.
fn open(low: i8, high: i8) -> impl Strategy<Value = String> {
    prop_oneof![2 => Just("*".to_owned()), 1 => field(low, high)]
}

fn named(field: String, low: usize, names: &[&str]) -> String {
    match field.parse::<usize>() {
        Ok(value) => names.get(value - low).map_or(field, |name| (*name).to_owned()),
        Err(_) => field,
    }
}

fn five_fields() -> impl Strategy<Value = String> {
    let month = open(1, 12).prop_map(|field| named(field, 1, &["Jan", "FEB", "mar"]));
    let weekday = open(0, 7).prop_map(|field| named(field, 0, &["SUN", "mon", "Tue"]));
    (field(0, 59), open(0, 23), open(1, 31), month, weekday)
        .prop_map(|(m, h, d, month, weekday)| format!("{m} {h} {d} {month} {weekday}"))
}

fn six_fields() -> impl Strategy<Value = String> {
    (field(0, 59), five_fields()).prop_map(|(second, rest)| format!("{second} {rest}"))
}

/// A zone and an instant on a whole minute, half of the time close to a change of its clocks.
fn moment() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let zone = prop::sample::select(&ZONES[..]);
    let minutes = |years: i64| years * 365 * 24 * 60;
    (zone, minutes(3)..minutes(130), any::<bool>(), -240_i64..=240).prop_map(
        |(name, minute, close, offset)| {
            let at = Timestamp::from_second(minute * 60).unwrap();
            let change = zone_of(name).following(at).next().map(|change| change.timestamp());
            let at = change.filter(|_| close).unwrap_or(at) + SignedDuration::from_mins(offset);
            (name, at)
        },
    )
}

fn zone_of(name: &str) -> TimeZone {
    jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap()
}

fn stamp(at: Time) -> Timestamp {
    Timestamp::from_millisecond(at.as_millis()).unwrap()
}

fn moment_of(at: Timestamp) -> Time {
    Time::from_millis(at.as_millisecond()).unwrap()
}

/// The schedule, unless the expression is one of a date that never comes.
fn possible(expression: &str, timezone: &str) -> Option<Schedule> {
    let seconds = expression.split(' ').count() == 6;
    let timezone = Some(timezone);
    let spec = Spec { cron: Some(expression), seconds, timezone, ..Spec::default() };
    match Schedule::parse(&spec) {
        Ok(schedule) => Some(schedule),
        Err(problems) => {
            assert!(problems.to_string().contains("never comes"), "{expression}: {problems}");
            None
        }
    }
}

/// The local times that the clocks skip to get to `at`, exclusive, or nothing.
fn skipped(zone: &TimeZone, at: Timestamp) -> Option<(DateTime, DateTime)> {
    let before = zone.to_datetime(at - SignedDuration::from_secs(1)) + SignedDuration::from_secs(1);
    let now = zone.to_datetime(at);
    (before < now).then_some((before, now))
}

proptest! {
    #[test]
    fn slots_are_those_that_brute_force_finds(
        expression in five_fields(),
        (name, from) in moment(),
    ) {
        let Some(schedule) = possible(&expression, name) else { return Ok(()) };
        let until = from + SignedDuration::from_hours(50);
        let minute = SignedDuration::from_mins(1);
        let wanted = Oracle::new(&expression, &zone_of(name)).slots(from, until, minute);
        let (from, until) = (moment_of(from), moment_of(until));
        let slots = schedule.slots(from, until, Time::EPOCH, usize::MAX);
        prop_assert_eq!(slots.iter().map(|slot| stamp(*slot)).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn to_the_second(expression in six_fields(), (name, from) in moment()) {
        let Some(schedule) = possible(&expression, name) else { return Ok(()) };
        let until = from + SignedDuration::from_mins(90);
        let second = SignedDuration::from_secs(1);
        let wanted = Oracle::new(&expression, &zone_of(name)).slots(from, until, second);
        let (from, until) = (moment_of(from), moment_of(until));
        let slots = schedule.slots(from, until, Time::EPOCH, usize::MAX);
        prop_assert_eq!(slots.iter().map(|slot| stamp(*slot)).collect::<Vec<_>>(), wanted);
    }

    /// In whole minutes the clocks go on, so a pattern of every minute has each of them once.
    #[test]
    fn every_minute_is_every_minute((name, from) in moment(), minutes in 1_i64..600) {
        let schedule = possible("* * * * *", name).unwrap();
        let until = from + SignedDuration::from_mins(minutes);
        let count = schedule.count(moment_of(from), moment_of(until), Time::EPOCH, u64::MAX);
        prop_assert_eq!(count, minutes as u64);
    }

    /// However far away: it is later, and the pattern means it or something that the clocks skip.
    #[test]
    fn next_is_later_and_on_the_grid(
        expression in prop_oneof![five_fields(), six_fields()],
        (name, after) in moment(),
        ms in 0_i64..60_000,
    ) {
        let Some(schedule) = possible(&expression, name) else { return Ok(()) };
        let after = moment_of(after + SignedDuration::from_millis(ms));
        let next = schedule.next_after(after, Time::EPOCH).expect("some year has it");
        prop_assert!(next > after);
        let (zone, oracle) = (zone_of(name), Oracle::new(&expression, &zone_of(name)));
        let local = zone.to_datetime(stamp(next));
        let second = SignedDuration::from_secs(1);
        let swallowed = skipped(&zone, stamp(next)).is_some_and(|(first, end)| {
            std::iter::successors(Some(first), |at| Some(*at + second))
                .take_while(|at| *at < end)
                .any(|at| oracle.matches(at))
        });
        let swallowed = swallowed && !oracle.is_elapsing();
        prop_assert!(oracle.matches(local) || swallowed, "{} is {}", next, local);
        let first = zone.to_ambiguous_timestamp(local).earlier().unwrap();
        let repeats = oracle.is_elapsing();
        prop_assert!(first == stamp(next) || repeats, "a repeated time counts once, the first time");
        prop_assert_eq!(schedule.next_after(moment_of(stamp(next) - second / 1000), Time::EPOCH), Some(next));
    }

    #[test]
    fn slots_are_what_iterating_gives(
        schedule in any_schedule(),
        from in 0_i64..4_000_000_000,
        span in 0_i64..10_000_000,
        anchored in 0_i64..4_000_000_000,
        max in 0_usize..200,
    ) {
        let ms = |secs: i64| Time::from_millis(secs * 1000 + 500).unwrap();
        let (from, until, anchored) = (ms(from), ms(from + span), ms(anchored));
        let mut walked = vec![];
        let mut at = from;
        while let Some(next) = schedule.next_after(at, anchored).filter(|next| *next <= until)
            && walked.len() < max
        {
            walked.push(next);
            at = next;
        }
        let slots = schedule.slots(from, until, anchored, max);
        prop_assert_eq!(&slots, &walked);
        if slots.len() < max {
            prop_assert_eq!(schedule.count(from, until, anchored, max as u64), slots.len() as u64);
        }
        // Cut anywhere, the pieces hold the same.
        let middle = ms((from.as_secs() + until.as_secs()) / 2);
        let mut halves = schedule.slots(from, middle, anchored, max);
        halves.extend(schedule.slots(middle, until, anchored, max - halves.len()));
        prop_assert_eq!(halves, walked);
    }

    #[test]
    fn a_grid_has_equal_steps(
        period_ms in 1000_i64..100_000_000,
        anchor in 0_i64..4_000_000_000_000,
        after in 0_i64..4_000_000_000_000,
    ) {
        let schedule = every(&format!("{period_ms}ms"), None);
        let ms = |ms: i64| Time::from_millis(ms).unwrap();
        let next = schedule.next_after(ms(after), ms(anchor)).unwrap().as_millis();
        prop_assert!(next > after && next > anchor);
        prop_assert_eq!((next - anchor) % period_ms, 0);
        prop_assert!(next - period_ms <= after || next - period_ms == anchor);
        let own = every(&format!("{period_ms}ms"), Some(&ms(anchor).to_string()));
        prop_assert_eq!(own.next_after(ms(after), Time::EPOCH), Some(ms(next)));
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,40}", word in "[0-9*/,@a-zA-Z -]{0,20}", seconds: bool) {
        for text in [&text, &word] {
            let text = Some(text.as_str());
            let none = Spec::default();
            let _ = Schedule::parse(&Spec { cron: text, seconds, ..none });
            let _ = Schedule::parse(&Spec { every: text, anchor: text, timezone: text, ..none });
            let _ = Schedule::parse(&Spec { at: text, ..none });
        }
    }
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let zone = prop::sample::select(&ZONES[..]);
    let cron = (prop_oneof![five_fields(), six_fields()], zone)
        .prop_filter_map("a date that never comes", |(expression, zone)| {
            possible(&expression, zone)
        });
    let grid = (1_i64..1_000_000).prop_map(|secs| every(&format!("{secs}s"), None));
    let instant = (0_i64..4_000_000_000)
        .prop_map(|secs| once(&Time::from_millis(secs * 1000).unwrap().to_string()));
    prop_oneof![4 => cron, 2 => grid, 1 => instant]
}
