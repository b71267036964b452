//! Why a command waits, and for how long it will.

use std::collections::BTreeSet;
use std::time::Duration;

use super::limits::Limits;
use crate::model::command::{Command, CommandState};
use crate::model::definition::Agent;
use crate::model::pause::Pause;
use crate::model::queue::Queue;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::model::worker::{AdminState, Approval, Worker};
use crate::store::commands::{self, ClaimableQueue, Standing};
use crate::store::{Store, StoreError, workers};

/// How long a command takes as far as is known when none of its class has completed.
pub const ASSUMED: Duration = Duration::from_secs(60);

/// What keeps a command from going out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing of its workspace is handed out.
    Paused(Pause),
    /// Somebody has to approve it.
    Blocked,
    /// It is not due before.
    Due(Time),
    /// The run before it has not ended.
    BehindRun,
    /// Its session is busy.
    SessionBusy,
    /// Its execution class fails, and is left alone until then.
    ClassDegraded(Time),
    /// So many commands of its class are out, and no more may be.
    ClassFull(u32),
    /// So many of its lane.
    LaneFull(u32),
    /// So many of its workspace.
    WorkspaceFull(u32),
    /// So many of the whole host.
    HostFull(u32),
    /// No worker serves its agent: none that does is connected.
    NoWorker,
    /// These are, and somebody has to let them in.
    WorkersUnapproved(BTreeSet<String>),
    /// These are, and are switched off.
    WorkersDisabled(BTreeSet<String>),
    /// These are, and take nothing new.
    WorkersDraining(BTreeSet<String>),
    /// None of those that are can take it: what each of them lacks.
    Unmet(BTreeSet<String>),
    /// Those that could take it have no room.
    WorkersBusy,
    /// Others are before it.
    InLine,
}

impl Reason {
    /// Its word on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Paused(_) => "paused",
            Self::Blocked => "blocked",
            Self::Due(_) => "due_later",
            Self::BehindRun => "behind_run",
            Self::SessionBusy => "session_busy",
            Self::ClassDegraded(_) => "class_degraded",
            Self::ClassFull(_) => "class_full",
            Self::LaneFull(_) => "lane_full",
            Self::WorkspaceFull(_) => "workspace_full",
            Self::HostFull(_) => "host_full",
            Self::NoWorker => "no_worker",
            Self::WorkersUnapproved(_) => "workers_unapproved",
            Self::WorkersDisabled(_) => "workers_disabled",
            Self::WorkersDraining(_) => "workers_draining",
            Self::Unmet(_) => "unmet",
            Self::WorkersBusy => "workers_busy",
            Self::InLine => "in_line",
        }
    }

    /// What there is to say of it.
    pub fn detail(&self) -> String {
        let full = |what: &str, max: &u32| format!("{max} commands of its {what} are out already");
        match self {
            Self::Paused(pause) => pause.to_string(),
            Self::Blocked => "somebody has to approve it".to_owned(),
            Self::Due(at) => format!("it is not due before {at}"),
            Self::BehindRun => "the run before it has not ended".to_owned(),
            Self::SessionBusy => "an earlier run of its session has not ended".to_owned(),
            Self::ClassDegraded(until) => {
                format!("its class has failed too often in a row; it is tried again at {until}")
            }
            Self::ClassFull(max) => full("class", max),
            Self::LaneFull(max) => full("lane", max),
            Self::WorkspaceFull(max) => full("workspace", max),
            Self::HostFull(max) => full("host", max),
            Self::NoWorker => "no worker serves this agent: none that does is connected".to_owned(),
            Self::WorkersUnapproved(names) => {
                format!("{} and somebody has to approve it first", connected(names))
            }
            Self::WorkersDisabled(names) => format!("{} and is disabled", connected(names)),
            Self::WorkersDraining(names) => {
                format!("{} and is draining: it takes nothing new", connected(names))
            }
            Self::Unmet(lacks) => {
                let lacks: Vec<&str> = lacks.iter().map(String::as_str).collect();
                format!("no worker can take it: they lack {}", lacks.join("; "))
            }
            Self::WorkersBusy => "the workers that could take it have no room".to_owned(),
            Self::InLine => "others are before it".to_owned(),
        }
    }
}

/// Who is connected and serves its agent.
fn connected(names: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [one] => format!("the worker {one} serves its agent,"),
        several => format!("each of the workers {} serves its agent,", several.join(", ")),
    }
}

/// What is known of a command that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its place in line, counted from 1, if it is in line.
    pub position: Option<u32>,
    /// How many commands of its agent are in line.
    pub total: u32,
    /// What its place goes by; none for one that has waited as long as counts: such go first.
    pub score: Option<i64>,
    /// How many connected workers could take it.
    pub workers: u32,
    /// How long a command of its class takes.
    pub takes: Duration,
    /// Whether that is no more than an assumption.
    pub assumed: bool,
    /// What keeps it, at least one reason.
    pub reasons: Vec<Reason>,
}

impl Waiting {
    /// How long it will wait: as if each of the workers took one command at a time. None when it is
    /// not in line, nobody could take it, or somebody has to let it go on.
    pub fn estimate(&self) -> Option<Duration> {
        if self.reasons.iter().any(|reason| matches!(reason, Reason::Paused(_))) {
            return None;
        }
        let turns = self.position?.div_ceil(Some(self.workers).filter(|workers| *workers > 0)?);
        Some(self.takes * turns)
    }
}

/// What keeps a command, if it waits for a worker or an approval at all.
///
/// # Errors
/// When the store fails.
pub async fn look(
    store: &Store,
    limits: &Limits,
    command: &Command,
    now: Time,
) -> Result<Option<Waiting>, StoreError> {
    let waits = matches!(command.state, CommandState::Pending | CommandState::Blocked);
    let Some(queue) = command.queue.clone().filter(|_| waits) else { return Ok(None) };
    let lot = limits.lot(queue);
    let standing = commands::standing(store, &command.scope, &command.id, lot.bonus, now).await?;
    let Some(standing) = standing else { return Ok(None) };
    let Queue { scope, agent, .. } = lot.queue.clone();
    let (agent, attendance) = (Agent { scope, name: agent }, Attendance::look(store).await?);
    let workers = Workers::of(serving(&attendance.on_duty, &agent), &lot.queue);
    let mut reasons = attendance.pauses_of(&agent.scope);
    reasons.extend(of_itself(command, &standing, now));
    reasons.extend(of_limits(&lot, &standing, limits.active_max, now));
    let of_workers = match workers.reason() {
        // Who has room for it need not hear of those that would have.
        None => Vec::new(),
        Some(reason) => kept_from_work(serving(&attendance.kept, &agent), reason),
    };
    reasons.extend(of_workers);
    if reasons.is_empty() {
        reasons.push(Reason::InLine);
    }
    let takes = standing.mean_ms.map(Duration::from_millis);
    Ok(Some(Waiting {
        position: standing.position,
        total: standing.total,
        score: standing.score,
        workers: u32::try_from(workers.able.len()).unwrap_or(u32::MAX),
        takes: takes.unwrap_or(ASSUMED),
        assumed: takes.is_none(),
        reasons,
    }))
}

/// The workers that are connected, to whichever replica, and who is given nothing of what waits.
#[derive(Debug)]
pub struct Attendance {
    /// The pauses that are in force.
    pauses: Vec<Pause>,
    /// Those that may be given commands.
    on_duty: Vec<Worker>,
    /// Those that are given nothing.
    kept: Vec<Worker>,
}

impl Attendance {
    /// Those of this moment.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(store: &Store) -> Result<Self, StoreError> {
        let on_duty = workers::on_duty(store).await?;
        let kept = workers::kept_from_work(store).await?;
        Ok(Self { on_duty, kept, pauses: commands::pauses(store).await? })
    }

    /// Why nobody takes an agent's commands, whatever they ask for; empty when somebody does.
    pub fn absence(&self, agent: &Agent) -> Vec<Reason> {
        let mut reasons = self.pauses_of(&agent.scope);
        if !self.on_duty.iter().any(|worker| worker.agents.contains(agent)) {
            reasons.extend(kept_from_work(serving(&self.kept, agent), Reason::NoWorker));
        }
        reasons
    }

    /// The pauses that a scope's commands wait for the end of.
    fn pauses_of(&self, scope: &Scope) -> Vec<Reason> {
        let covers = |pause: &&Pause| pause.covers(scope);
        self.pauses.iter().filter(covers).cloned().map(Reason::Paused).collect()
    }
}

fn serving(workers: &[Worker], agent: &Agent) -> Vec<Worker> {
    workers.iter().filter(|worker| worker.agents.contains(agent)).cloned().collect()
}

fn of_itself(command: &Command, standing: &Standing, now: Time) -> Vec<Reason> {
    let due = command.due_at.filter(|due| *due > now);
    [
        (command.state == CommandState::Blocked).then_some(Reason::Blocked),
        due.map(Reason::Due),
        standing.behind_run.then_some(Reason::BehindRun),
        standing.behind_session.then_some(Reason::SessionBusy),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_limits(lot: &ClaimableQueue, standing: &Standing, host_max: u32, now: Time) -> Vec<Reason> {
    let reached = |max: Option<u32>, active: u32| max.filter(|max| active >= *max);
    // Behind the cool-down, one command at a time.
    let until = lot.breaker.degraded_until(standing.failures, standing.failed_at);
    let degraded = until.filter(|until| *until > now || standing.class_active > 0);
    [
        degraded.map(Reason::ClassDegraded),
        reached(lot.class_max, standing.class_active).map(Reason::ClassFull),
        reached(lot.lane_max, standing.lane_active).map(Reason::LaneFull),
        reached(lot.workspace_max, standing.workspace_active).map(Reason::WorkspaceFull),
        reached(Some(host_max), standing.host_active).map(Reason::HostFull),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Why the workers that are connected do not take it: of those that could, `reason`.
fn kept_from_work(kept: Vec<Worker>, reason: Reason) -> Vec<Reason> {
    let [mut unapproved, mut disabled, mut draining] = [(); 3].map(|()| BTreeSet::new());
    for worker in kept {
        match (worker.approval, worker.admin_state) {
            (Approval::Pending, _) => unapproved.insert(worker.name),
            (_, AdminState::Disabled) => disabled.insert(worker.name),
            _ => draining.insert(worker.name),
        };
    }
    let named = [
        (unapproved, Reason::WorkersUnapproved as fn(_) -> _),
        (disabled, Reason::WorkersDisabled),
        (draining, Reason::WorkersDraining),
    ];
    let mut reasons: Vec<Reason> = named
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, reason)| reason(names))
        .collect();
    // Where somebody is connected, it is not for want of a connection.
    if reasons.is_empty() || reason != Reason::NoWorker {
        reasons.insert(0, reason);
    }
    reasons
}

/// The workers that serve a queue's agent.
struct Workers {
    able: Vec<Worker>,
    /// What the others lack.
    lacks: BTreeSet<String>,
}

impl Workers {
    fn of(on_duty: Vec<Worker>, queue: &Queue) -> Self {
        let mut workers = Self { able: Vec::new(), lacks: BTreeSet::new() };
        for worker in on_duty {
            match worker.offer.unmet(&queue.routing, queue.policy.as_ref()) {
                Some(lack) => drop(workers.lacks.insert(lack)),
                None => workers.able.push(worker),
            }
        }
        workers
    }

    fn reason(&self) -> Option<Reason> {
        match (self.able.as_slice(), self.lacks.is_empty()) {
            ([], true) => Some(Reason::NoWorker),
            ([], false) => Some(Reason::Unmet(self.lacks.clone())),
            (able, _) if able.iter().all(|worker| worker.active >= worker.capacity) => {
                Some(Reason::WorkersBusy)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_formula() {
        let check = |position, workers, wanted: Option<u64>| {
            let waiting = Waiting {
                position,
                total: 10,
                score: None,
                workers,
                takes: Duration::from_secs(30),
                assumed: false,
                reasons: vec![Reason::InLine],
            };
            assert_eq!(waiting.estimate(), wanted.map(Duration::from_secs));
        };
        check(Some(1), 1, Some(30));
        check(Some(4), 2, Some(60));
        check(Some(5), 2, Some(90));
        check(Some(5), 0, None);
        check(None, 2, None);
    }
}
