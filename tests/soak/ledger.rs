//! What was asked for, what befell the workers, what the programs recorded, and what the host says of
//! all that.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;

use serde_json::Value;

use super::record::{Deed, Line, What, moment};
use crate::harness::host::Host;

/// By then the host has heard of a program's end, if its worker and the host are at work.
const HEARD_MS: u64 = 5_000;
/// How long a worker that goes on may take until it has heard what it has lost, and has ended it.
const HEARD_OF_LOSS_MS: u64 = 10_000;
/// What a run is said to have failed by that was lost too often.
const LOST_TOO_OFTEN: &str = "max dispatch attempts";
const DISPATCHES_MAX: usize = 3;

/// What befell a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    Killed {
        at: u64,
    },
    /// It was asked to stop.
    Stopped,
    /// For less than a lease.
    Frozen,
    /// It was frozen until the host had lost it.
    Lost {
        from: u64,
        to: u64,
    },
}

/// One hand-over of a run, as its program recorded it.
#[derive(Clone, Debug)]
struct Turn {
    attempt: u32,
    dispatch: u32,
    life: String,
    begun: u64,
    ended: Option<(What, u64)>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: BTreeMap<String, Deed>,
    mishaps: HashMap<String, Vec<Mishap>>,
    /// From when until when the host was away, and had not heard of everybody again.
    away: Vec<(u64, u64)>,
    counts: BTreeMap<&'static str, usize>,
    faults: Vec<String>,
}

impl Ledger {
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    pub(super) fn ask(&mut self, run: String, deed: Deed) {
        self.asked.insert(run, deed);
    }

    pub(super) fn note(&mut self, life: &str, mishap: Mishap) {
        self.count(match mishap {
            Mishap::Killed { .. } => "workers killed",
            Mishap::Stopped => "stopped",
            Mishap::Frozen => "frozen",
            Mishap::Lost { .. } => "frozen until they were lost",
        });
        self.mishaps.entry(life.to_owned()).or_default().push(mishap);
    }

    pub(super) fn host_was_away(&mut self, since: u64, hard: bool) {
        self.count(if hard { "hosts killed" } else { "hosts stopped" });
        self.away.push((since, moment()));
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Holds what the host says against what was recorded.
    pub(super) async fn close(&mut self, host: &Host, runs: &[Value], record: &[Line]) {
        let turns = turns(record);
        for (n, run) in runs.iter().enumerate() {
            let id = run["id"].as_str().unwrap();
            let Some(deed) = self.asked.get(id).copied() else {
                self.faults.push(format!("{id} was not asked for: {n}"));
                continue;
            };
            let turns = turns.get(id).map_or(&[][..], Vec::as_slice);
            self.count(match run["status"].as_str().unwrap() {
                "completed" => "completed",
                "failed" => "failed",
                _ => "otherwise",
            });
            *self.counts.entry("programs").or_default() += turns.len();
            self.check_end(id, run, deed, turns);
            self.check_turns(id, turns);
            if turns.len() > 1 {
                self.check_words(id, &host.logs(id).await);
            }
        }
        for line in record.iter().filter(|line| line.what == What::Beside) {
            self.check_beside(line, &turns[&line.run]);
        }
        if runs.len() != self.asked.len() {
            self.faults.push(format!("{} runs of {}", runs.len(), self.asked.len()));
        }
    }

    /// The run ended as the last program of it did.
    fn check_end(&mut self, id: &str, run: &Value, deed: Deed, turns: &[Turn]) {
        let (status, error) = (&run["status"], run["error"].as_str().unwrap_or_default());
        let last_success =
            turns.last().is_some_and(|turn| matches!(turn.ended, Some((What::Succeeded, _))));
        let wanted = if deed == Deed::Fail { "failed" } else { "completed" };
        let has_ended =
            |what| turns.iter().any(|turn| turn.ended.is_some_and(|(so, _)| so == what));
        if error.starts_with(LOST_TOO_OFTEN) {
            self.count("lost too often");
            let was_lost = turns.last().is_none_or(|turn| self.may_be_lost(turn));
            if !was_lost || run["ended_at"].is_null() {
                self.faults.push(format!("{id} was not lost so often: {run} {turns:?}"));
            }
        } else if status != wanted || run["ended_at"].is_null() {
            self.faults.push(format!("{id} should be {wanted}: {run} {turns:?}"));
        } else if deed == Deed::Fail && (last_success || !has_ended(What::Failed)) {
            self.faults.push(format!("{id} failed, its program did not: {run} {turns:?}"));
        } else if deed != Deed::Fail && !has_ended(What::Succeeded) {
            self.faults.push(format!("{id} completed, its program did not: {run} {turns:?}"));
        }
    }

    /// Only what may have been lost with its worker is carried out again.
    fn check_turns(&mut self, id: &str, turns: &[Turn]) {
        for pair in turns.windows(2) {
            let (turn, next) = (&pair[0], &pair[1]);
            if turn.attempt != next.attempt {
                self.count("tried again");
                continue;
            }
            self.count("carried out again");
            if !self.may_be_lost(turn) {
                self.faults.push(format!("{id} is carried out again: {turn:?}, then {next:?}"));
            }
        }
        if turns.len() > 2 * DISPATCHES_MAX {
            self.faults.push(format!("{id} went out too often: {turns:?}"));
        }
    }

    /// Whether the host may never have heard how this ended, or that it lives.
    fn may_be_lost(&self, turn: &Turn) -> bool {
        let heard_by = turn.ended.map(|(_, at)| self.heard_by(at));
        self.mishaps_of(&turn.life).any(|mishap| match mishap {
            Mishap::Killed { at } => heard_by.is_none_or(|by| at <= by),
            Mishap::Lost { from, to } => {
                turn.begun <= to + HEARD_OF_LOSS_MS && heard_by.is_none_or(|by| from <= by)
            }
            Mishap::Stopped | Mishap::Frozen => false,
        })
    }

    /// By when the host has heard of what ended at this moment.
    fn heard_by(&self, ended: u64) -> u64 {
        let away = self
            .away
            .iter()
            .find(|(from, to)| (*from..=*to + HEARD_MS).contains(&(ended + HEARD_MS)));
        away.map_or(ended, |(_, back)| *back) + HEARD_MS
    }

    fn mishaps_of(&self, life: &str) -> impl Iterator<Item = Mishap> {
        self.mishaps.get(life).into_iter().flatten().copied()
    }

    /// Two of one run are at work only while a worker is lost and does not know.
    fn check_beside(&mut self, line: &Line, turns: &[Turn]) {
        self.count("beside another");
        let knows_not = |life: &str| {
            self.mishaps_of(life).any(|mishap| match mishap {
                Mishap::Lost { from, to } => (from..=to + HEARD_OF_LOSS_MS).contains(&line.at),
                _ => false,
            })
        };
        if !turns.iter().any(|turn| knows_not(&turn.life)) {
            self.faults.push(format!("two at once: {line:?}, {turns:?}"));
        }
    }

    /// What a program says whose worker has lost it is not taken: nothing of an older one comes after
    /// the first word of the next.
    fn check_words(&mut self, id: &str, logs: &[(String, String)]) {
        let turn = |text: &str| {
            let mut words = text.strip_prefix("turn ")?.split(' ').map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        };
        let said: Vec<(u32, u32)> = logs.iter().filter_map(|(_, text)| turn(text)).collect();
        if !said.is_sorted() {
            self.faults.push(format!("{id} has an older one's words: {logs:?}"));
        }
    }

    /// To the terminal, whether the test passes or not.
    pub(super) fn print(&self, title: &str) {
        let Self { asked, counts, faults, .. } = self;
        let _ = writeln!(
            std::io::stderr(),
            "ledger ({title}): runs {}, {counts:?}, faults {}",
            asked.len(),
            faults.len(),
        );
    }

    pub(super) fn check(&self) {
        assert!(self.faults.is_empty(), "{:#?}\n{:#?}", self.faults, self.mishaps);
    }
}

/// The programs of each run, in the order in which they were handed over.
fn turns(record: &[Line]) -> HashMap<String, Vec<Turn>> {
    let mut all: HashMap<String, Vec<Turn>> = HashMap::new();
    for line in record {
        let turns = all.entry(line.run.clone()).or_default();
        let same = |turn: &&mut Turn| {
            (turn.attempt, turn.dispatch, &turn.life) == (line.attempt, line.dispatch, &line.life)
        };
        match line.what {
            What::Begin => turns.push(Turn {
                attempt: line.attempt,
                dispatch: line.dispatch,
                life: line.life.clone(),
                begun: line.at,
                ended: None,
            }),
            What::Beside => {}
            ended => {
                let turn = turns.iter_mut().rev().find(same).expect("what ends has begun");
                turn.ended = Some((ended, line.at));
            }
        }
    }
    all.values_mut().for_each(|turns| turns.sort_by_key(|turn| (turn.attempt, turn.dispatch)));
    all
}
