//! A worker that cannot be relied on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hillock::clock::Clock;
use hillock::dispatch::protocol::{Held, Served, ToHost, ToWorker, VERSION};
use hillock::model::command::Token;
use hillock::model::id::{CommandId, RunId, WorkerId};
use hillock::model::routing::Offer;
use hillock::model::run::{Ending, LogLine, Stream};
use rand::{RngExt as _, rngs::ChaCha8Rng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Word};
use super::line::{Gone, Line};
use crate::harness::host::Host;

/// Twenty seconds of the host's time.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The latest that an honest word comes.
const LATE_MS: u64 = 200;
/// How many old tokens it keeps to lie with.
const OLD_MAX: usize = 50;

pub(super) struct Worker {
    address: String,
    key: String,
    id: WorkerId,
    dice: ChaCha8Rng,
    ledger: Arc<Mutex<Ledger>>,
    /// What it believes to hold.
    held: HashMap<CommandId, Held>,
    /// What it held once, with the run.
    old: Vec<(Held, RunId)>,
}

/// What it does with a command.
enum Fate {
    Work,
    WorkTwice,
    Ignore,
    HandBack,
    Die,
    GoSilent,
    ConnectAgain,
    Lie,
}

/// How a connection ended, by the worker's own will.
enum Leave {
    /// It forgets all that it held.
    Dies,
    /// It opens another connection, with all that it holds, and leaves the old one open.
    ConnectsAgain,
}

impl Worker {
    pub(super) fn new(host: &Host, dice: ChaCha8Rng, ledger: Arc<Mutex<Ledger>>) -> Self {
        Self {
            address: host.address().to_owned(),
            key: host.key.clone(),
            id: Clock.worker_id(),
            dice,
            ledger,
            held: HashMap::new(),
            old: vec![],
        }
    }

    pub(super) async fn work(mut self, stop: CancellationToken) {
        // Left open until the host closes it, or the next one is left so.
        let mut _left = None;
        while !stop.is_cancelled() {
            let Some(mut line) = Line::open(&self.address, &self.key).await else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            line.say(self.hello(), Duration::ZERO);
            // What was not answered is said again.
            for held in self.held.values().cloned().collect::<Vec<_>>() {
                self.finish(&mut line, &held);
            }
            let end = stop.run_until_cancelled(self.converse(&mut line)).await;
            match end {
                Some(Ok(Leave::Dies)) => {
                    self.held.clear();
                    drop(line);
                }
                Some(Ok(Leave::ConnectsAgain)) => _left = Some(line),
                Some(Err(Gone)) | None => {}
            }
        }
    }

    fn hello(&self) -> ToHost {
        ToHost::Hello {
            version: VERSION,
            worker_id: self.id.clone(),
            name: "unruly".to_owned(),
            agents: vec![Served { workspace_id: String::new(), name: "mill".parse().unwrap() }],
            capacity: 32,
            offer: Offer::default(),
            active: self.held.values().cloned().collect(),
        }
    }

    async fn converse(&mut self, line: &mut Line) -> Result<Leave, Gone> {
        let mut heartbeat = Instant::now() + HEARTBEAT;
        loop {
            match line.hear(heartbeat).await? {
                Some(ToWorker::Run { held, run_id, .. }) => {
                    if let Some(leave) = self.take(line, held, run_id).await {
                        return Ok(leave);
                    }
                }
                Some(answer) => self.answered(answer),
                None => {
                    heartbeat = Instant::now() + HEARTBEAT;
                    let active = self.held.values().cloned().collect();
                    let beat =
                        ToHost::Heartbeat { active, capacity: None, offer: None, agents: None };
                    line.say(beat, Duration::ZERO);
                }
            }
        }
    }

    async fn take(&mut self, line: &mut Line, held: Held, run_id: RunId) -> Option<Leave> {
        self.ledger.lock().unwrap().given(&held, &run_id);
        self.old.push((held.clone(), run_id));
        if self.old.len() > OLD_MAX {
            self.old.remove(0);
        }
        self.held.insert(held.command_id.clone(), held.clone());
        match self.fate() {
            Fate::Work => self.finish(line, &held),
            Fate::WorkTwice => {
                self.finish(line, &held);
                self.finish(line, &held);
            }
            // It holds it no more, and says nothing: the lease runs out.
            Fate::Ignore => {
                self.held.remove(&held.command_id);
            }
            Fate::HandBack => {
                let late = self.late();
                line.say(self.hand_back(held), late);
            }
            Fate::Die => return Some(Leave::Dies),
            Fate::GoSilent => {
                // Longer than a lease, or not; what it says then is late.
                let silence = Duration::from_millis(self.dice.random_range(100..5000));
                sleep(silence).await;
                self.finish(line, &held);
            }
            Fate::ConnectAgain => {
                self.finish(line, &held);
                return Some(Leave::ConnectsAgain);
            }
            Fate::Lie => {
                self.lie(line);
                self.finish(line, &held);
            }
        }
        None
    }

    fn fate(&mut self) -> Fate {
        match self.dice.random_range(0..1000) {
            0..900 => Fate::Work,
            900..930 => Fate::WorkTwice,
            930..945 => Fate::Ignore,
            945..965 => Fate::HandBack,
            965..970 => Fate::Die,
            970..974 => Fate::GoSilent,
            974..980 => Fate::ConnectAgain,
            _ => Fate::Lie,
        }
    }

    fn late(&mut self) -> Duration {
        Duration::from_millis(self.dice.random_range(0..LATE_MS))
    }

    /// All the words of honest work, or most of them: who finishes has begun, if it has acknowledged.
    fn finish(&mut self, line: &mut Line, held: &Held) {
        let late = self.late();
        line.say(ToHost::Acknowledged { held: held.clone() }, Duration::ZERO);
        if self.dice.random_bool(0.8) {
            line.say(ToHost::Started { held: held.clone() }, late / 2);
        }
        if self.dice.random_bool(0.3) {
            line.say(self.logs(held), late);
        }
        line.say(self.finished(held), late);
    }

    /// Says what it has no right to: with a token that it once held, or with one of its own making.
    fn lie(&mut self, line: &mut Line) {
        let pick = self.dice.random_range(0..self.old.len());
        let mut held = self.old[pick].0.clone();
        if self.dice.random_bool(0.3) {
            held.token = Token::mint(self.dice.random());
        }
        let word = match self.dice.random_range(0..4) {
            0 => ToHost::Started { held },
            1 => self.hand_back(held),
            2 => self.logs(&held),
            _ => self.finished(&held),
        };
        line.say(word, Duration::ZERO);
    }

    fn logs(&self, held: &Held) -> ToHost {
        self.ledger.lock().unwrap().said(held, Word::Logs);
        let text = Ledger::marker(held);
        let line = LogLine { at: Clock.now(), stream: Stream::Stdout, text };
        ToHost::Logs { held: held.clone(), first: 1, lines: vec![line] }
    }

    fn hand_back(&self, held: Held) -> ToHost {
        self.ledger.lock().unwrap().said(&held, Word::HandedBack);
        ToHost::HandBack { held }
    }

    /// Each token has a failure of its own, so that the store shows whose word it took. Not too many
    /// fail: a class that does again and again is left alone for a while.
    fn finished(&self, held: &Held) -> ToHost {
        self.ledger.lock().unwrap().said(held, Word::Finished);
        let marker = Ledger::marker(held);
        let fails = marker.starts_with('0');
        let ending = if fails { Ending::failed(marker) } else { Ending::Completed };
        ToHost::Finished { held: held.clone(), ending }
    }

    fn answered(&mut self, answer: ToWorker) {
        let mut ledger = self.ledger.lock().unwrap();
        match answer {
            ToWorker::Logged { held, .. } => ledger.accepted(&held, Word::Logs),
            ToWorker::Settled { held } => {
                ledger.settled(&held);
                self.held.remove(&held.command_id);
            }
            ToWorker::Refused { held } => {
                ledger.refused(&held);
                if self.held.get(&held.command_id) == Some(&held) {
                    self.held.remove(&held.command_id);
                }
            }
            _ => {}
        }
    }
}
