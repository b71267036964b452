//! What was accepted, held against what the host has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::harness::host::Host;
use crate::harness::load::Accepted;
use crate::harness::wait;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Deliveries that were answered with an event.
    accepted: usize,
    /// Those whose event is not there.
    lost: Vec<u64>,
    /// Events that are there.
    events: usize,
    /// Events that belong to a delivery which has another one.
    repeated: usize,
    /// Runs that are there.
    runs: usize,
    /// Events without a run, and how many runs those with several have too many.
    without_run: usize,
    runs_too_many: usize,
    /// Runs by how they ended.
    ended: BTreeMap<String, usize>,
}

impl Ledger {
    /// Waits for every event to be decided and every run to end, and counts.
    pub(super) async fn of(host: &Host, accepted: &Accepted) -> Self {
        let deadline = Duration::from_secs(120);
        let (events, runs) = wait::within(deadline, "every run to end", async || {
            let events = host.items("events").await;
            let runs = host.items("runs").await;
            let decided = events.iter().all(|event| !event["activated_at"].is_null());
            let ended = runs.iter().all(|run| !run["ended_at"].is_null());
            (decided && ended).then_some((events, runs))
        })
        .await;
        Self::count(accepted, &events, &runs)
    }

    fn count(accepted: &Accepted, events: &[Value], runs: &[Value]) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let ids: BTreeSet<String> = events.iter().map(|event| text(&event["id"])).collect();
        let distinct: BTreeSet<&String> = accepted.values().collect();
        let mut runs_of: BTreeMap<String, usize> = BTreeMap::new();
        let mut ended: BTreeMap<String, usize> = BTreeMap::new();
        for run in runs {
            *runs_of.entry(text(&run["event_id"])).or_default() += 1;
            let error = run["error"].as_str().map(|error| format!(" ({error})"));
            let how = text(&run["status"]) + &error.unwrap_or_default();
            *ended.entry(how).or_default() += 1;
        }
        let lost = accepted.iter().filter(|(_, id)| !ids.contains(*id));
        Self {
            accepted: accepted.len(),
            lost: lost.map(|(number, _)| *number).collect(),
            events: events.len(),
            repeated: events.len() - distinct.len().min(events.len()),
            runs: runs.len(),
            without_run: ids.iter().filter(|id| !runs_of.contains_key(*id)).count(),
            runs_too_many: runs_of.values().map(|count| count - 1).sum(),
            ended,
        }
    }

    /// To the terminal, whether the test passes or not.
    pub(super) fn print(&self, title: &str) {
        let Self { accepted, lost, events, repeated, runs, without_run, runs_too_many, ended } =
            self;
        let _ = writeln!(
            std::io::stderr(),
            "ledger ({title}): accepted {accepted}, lost {}, events {events}, repeated {repeated}, \
             runs {runs}, events without a run {without_run}, runs too many {runs_too_many}, \
             ended {ended:?}",
            lost.len(),
        );
    }

    pub(super) fn check(&self) {
        assert!(self.accepted > 20, "there was a load: {self:?}");
        assert!(self.lost.is_empty(), "{self:?}");
        assert_eq!((self.repeated, self.without_run, self.runs_too_many), (0, 0, 0), "{self:?}");
        assert_eq!((self.events, self.runs), (self.accepted, self.accepted), "{self:?}");
    }
}
