//! What was seen of the store so far, and the invariants that every change is held against.
//!
//! The book knows nothing but the journal. Each entry is judged by itself: whether the change is
//! allowed, and whether it begins where the last one ended. Then what the operation has touched is
//! judged together, as it was committed: runs with their commands, sessions, tasks and decisions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hillock::model::command::{CommandState, DISPATCH_ATTEMPTS_MAX, Token};
use hillock::model::id::{CommandId, WorkerId};
use hillock::model::run::RunStatus;
use hillock::model::task::TaskStatus;
use hillock::model::time::Time;

use super::journal::{Entry, Image};
use super::rules::{self, Limits};

/// Why a change may not be.
pub(super) type Violation = String;

macro_rules! must {
    ($holds:expr, $($why:tt)+) => { if !$holds { return Err(format!($($why)+)); } };
}

mod removal;

pub(super) use removal::Gone;

#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) workspace: String,
    pub(super) owner: String,
    pub(super) event: Option<String>,
    pub(super) status: RunStatus,
    attempt: i64,
    task: Option<String>,
    retries_max: i64,
    created_at: i64,
    waits_for_input: bool,
    /// Its attempts that have not ended.
    live: BTreeSet<String>,
    /// The number of its latest attempt.
    attempts: i64,
    interruptions: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) workspace: String,
    kind: String,
    run: Option<String>,
    pub(super) state: CommandState,
    attempt: i64,
    worker: Option<String>,
    token: Option<String>,
    token_expires_at: i64,
    session: Option<String>,
    class: Option<String>,
    lane: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) workspace: String,
    pub(super) status: TaskStatus,
    run: String,
    /// Its runs, in the order they were made.
    runs: Vec<String>,
    /// Whether it is found by the key that its client gave it.
    pub(super) is_keyed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Input {
    into_run: String,
    outcome: String,
}

/// How a word of a worker stands to the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its token is the command's, which the worker has.
    Current,
    /// The same, but the worker has not acknowledged it.
    Unseen,
    /// Its token is the command's, which has ended.
    Ended,
    /// It is not.
    Stale,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// By event: whether it was activated.
    pub(super) events: HashMap<String, bool>,
    decisions: HashMap<String, (String, Option<String>)>,
    decided: HashMap<String, usize>,
    held: HashSet<String>,
    pub(super) runs: HashMap<String, Run>,
    pub(super) commands: HashMap<String, Command>,
    pub(super) tasks: HashMap<String, Task>,
    pub(super) inputs: HashMap<String, Input>,
    sessions: HashMap<String, Option<String>>,
    /// By session: the commands that are out of it.
    out_of_session: HashMap<String, BTreeSet<String>>,
    /// By class and by lane: how many commands are out.
    out: HashMap<String, u32>,
    out_at_all: u32,
    pub(super) waiting: u32,
    pairs: HashSet<(String, String)>,
    fires: HashSet<String>,
    tokens: HashSet<String>,
    /// By owner: its runs that count towards a limit, by when they were made.
    counted: HashMap<String, BTreeMap<(i64, String), ()>>,
    revoked: HashSet<String>,
    slots: HashMap<String, i64>,
    gatherings: HashSet<String>,
    /// In the order they were made.
    pub(super) run_ids: Vec<String>,
    pub(super) task_ids: Vec<String>,
    pub(super) command_ids: Vec<String>,
    pub(super) event_ids: Vec<String>,
    pub(super) blocked: BTreeSet<String>,
    /// What ended before may be removed now; nothing may when there is no such time.
    pub(super) due: Option<Time>,
    pub(super) gone: Gone,
    touched: Touched,
}

/// What an operation has touched.
#[derive(Clone, Debug, Default)]
struct Touched {
    runs: BTreeSet<String>,
    sessions: BTreeSet<String>,
    tasks: BTreeSet<String>,
    /// New runs of triggers.
    fired: Vec<String>,
    activated: Vec<String>,
    out: bool,
}

impl Run {
    /// The task whose run it is, if it is one's.
    pub(super) fn task_of(&self) -> Option<&str> {
        self.owner.starts_with("task_").then_some(&*self.owner)
    }

    fn is_open_of(&self, event: &str) -> bool {
        self.event.as_deref() == Some(event) && !self.status.is_terminal()
    }

    /// Whether a task carries it out in its place.
    pub(super) fn is_handed_over(&self) -> bool {
        self.task.is_some()
    }
}

impl Book {
    /// Takes down what one operation has changed.
    pub(super) fn see(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            let Entry { table, id, before, after } = entry;
            match (before, after) {
                (None, Some(made)) => self.made(table, id, made),
                (Some(before), Some(after)) => self.changed(table, id, before, after),
                (Some(before), None) => self.removed(table, id, before),
                (None, None) => Err(format!("{table}: {id} is nothing")),
            }?;
        }
        let touched = std::mem::take(&mut self.touched);
        touched.runs.iter().try_for_each(|run| self.judge_run(run))?;
        touched.sessions.iter().try_for_each(|session| self.judge_session(session))?;
        touched.tasks.iter().try_for_each(|task| self.judge_task(task))?;
        touched.fired.iter().try_for_each(|run| self.judge_fired(run))?;
        touched.activated.iter().try_for_each(|event| self.judge_decided(event))?;
        if touched.out { self.judge_limits() } else { Ok(()) }
    }

    /// How a word of this worker with this token stands to the command, at this time.
    pub(super) fn standing(
        &self,
        worker: &WorkerId,
        id: &CommandId,
        token: &Token,
        now: Time,
    ) -> Standing {
        let Some(command) = self.commands.get(id.as_str()) else { return Standing::Stale };
        let hash = hex::encode_upper(token.hash());
        let own = command.worker.as_deref() == Some(worker.as_str());
        let current = own && command.token.as_deref() == Some(&hash);
        match command.state {
            _ if !current || command.token_expires_at <= now.as_millis() => Standing::Stale,
            state if state.is_terminal() => Standing::Ended,
            CommandState::Sent => Standing::Unseen,
            _ => Standing::Current,
        }
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_settled(&self) -> bool {
        let open = self.commands.values().any(|command| !command.state.is_terminal());
        !open && self.held.is_empty() && self.gatherings.is_empty()
    }

    /// How many attempts were made of all runs.
    pub(super) fn attempts(&self) -> u64 {
        self.commands.values().filter(|command| command.kind == "run").count() as u64
    }

    /// The states of everything that was seen: the table, the column, and what it holds of each.
    pub(super) fn everything(&self) -> [(&'static str, &'static str, HashMap<&str, String>); 4] {
        let runs = self.runs.iter().map(|(id, run)| (&**id, run.status.to_string()));
        let commands = self.commands.iter().map(|(id, it)| (&**id, it.state.to_string()));
        let tasks = self.tasks.iter().map(|(id, task)| (&**id, task.status.to_string()));
        let holder = |holder: &Option<String>| holder.clone().unwrap_or_default();
        let sessions = self.sessions.iter().map(|(id, it)| (&**id, holder(it)));
        [
            ("runs", "status", runs.collect()),
            ("commands", "state", commands.collect()),
            ("tasks", "status", tasks.collect()),
            ("sessions", "lease_command_id", sessions.collect()),
        ]
    }

    fn made(&mut self, table: &str, id: &str, made: &Image) -> Result<(), Violation> {
        match table {
            "events" => {
                self.events.insert(id.to_owned(), false);
                self.event_ids.push(id.to_owned());
            }
            "decisions" => self.decide(id, made)?,
            "runs" => self.make_run(id, made)?,
            "commands" => self.make_command(id, made)?,
            "tasks" => self.make_task(id, made)?,
            "sessions" => drop(self.sessions.insert(id.to_owned(), None)),
            "run_inputs" => self.give(id, made),
            "gatherings" => drop(self.gatherings.insert(id.to_owned())),
            "schedules" => drop(self.slots.insert(id.to_owned(), made.number("next_run_at"))),
            "run_logs" | "run_events" => {
                let run = self.run(made.get("run_id"))?;
                must!(!run.status.is_terminal(), "{table}: {id} was told of a run that has ended");
            }
            _ => {}
        }
        Ok(())
    }

    fn changed(
        &mut self,
        table: &str,
        id: &str,
        before: &Image,
        after: &Image,
    ) -> Result<(), Violation> {
        match table {
            "events" => self.activate(id, before, after),
            "decisions" => self.decide_again(id, before, after),
            "runs" => self.change_run(id, before, after),
            "commands" => self.change_command(id, before, after),
            "tasks" => self.change_task(id, before, after),
            "sessions" => self.change_session(id, before, after),
            "run_inputs" => {
                self.give(id, after);
                Ok(())
            }
            "workers" => self.change_worker(id, after),
            "schedules" => self.move_on(id, after),
            _ => Ok(()),
        }
    }

    fn run(&self, id: &str) -> Result<&Run, Violation> {
        self.runs.get(id).ok_or_else(|| format!("{id} was never made"))
    }
}

/// Events and decisions.
impl Book {
    fn activate(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        let (was, is) = (before.find("activated_at"), after.find("activated_at"));
        if was == is {
            return put_back(id, before, after, "received_at");
        }
        must!(was.is_none() && is.is_some(), "{id} was activated before: {was:?}, now {is:?}");
        let seen = self.events.insert(id.to_owned(), true);
        must!(seen == Some(false), "{id} is activated, and was {seen:?}");
        self.touched.activated.push(id.to_owned());
        Ok(())
    }

    fn decide(&mut self, id: &str, made: &Image) -> Result<(), Violation> {
        let (outcome, run) = (made.get("outcome").to_owned(), made.find("run_id"));
        if outcome == "held" {
            self.held.insert(id.to_owned());
        }
        let event = id.split('/').next().unwrap_or_default();
        *self.decided.entry(event.to_owned()).or_default() += 1;
        let known = self.decisions.insert(id.to_owned(), (outcome, run));
        must!(known.is_none(), "{id} was decided before: {known:?}");
        Ok(())
    }

    fn decide_again(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        must!(before.get("outcome") == "held", "{id} was decided as {before:?}, now as {after:?}");
        self.held.remove(id);
        let decision = (after.get("outcome").to_owned(), after.find("run_id"));
        self.decisions.insert(id.to_owned(), decision);
        Ok(())
    }

    /// Every trigger has its say, once.
    fn judge_decided(&self, event: &str) -> Result<(), Violation> {
        let decided = self.decided.get(event).copied().unwrap_or(0);
        must!(decided > 0, "{event} was activated, and no trigger decided");
        Ok(())
    }

    /// A run of an event is one that its trigger decided on.
    fn judge_fired(&self, id: &str) -> Result<(), Violation> {
        let run = self.run(id)?;
        let Some(event) = &run.event else { return Ok(()) };
        let decision = self.decisions.get(&format!("{event}/{}", run.owner));
        let decided = matches!(decision, Some((outcome, Some(decided)))
            if outcome == "fired" && decided == id);
        must!(decided, "{id} was made, and the decision says {decision:?}");
        Ok(())
    }
}

/// Runs.
impl Book {
    fn make_run(&mut self, id: &str, made: &Image) -> Result<(), Violation> {
        let (owner, event) = (made.get("owner_id").to_owned(), made.find("event_id"));
        if let Some(event) = &event {
            let activated = self.events.get(event) == Some(&true);
            must!(activated, "{id} is of {event}, which was not activated");
            let new = self.pairs.insert((event.clone(), owner.clone()));
            must!(new, "{id} is another run of {event} and {owner}");
            self.touched.fired.push(id.to_owned());
        }
        if let Some(fire) = made.find("fire_id") {
            must!(self.fires.insert(fire.clone()), "{id} is another run of {fire}");
        }
        let status: RunStatus = made.get("status").parse()?;
        let run = Run {
            workspace: made.get("workspace_id").to_owned(),
            owner: owner.clone(),
            event,
            status,
            attempt: 0,
            task: made.find("task_id"),
            retries_max: retries_max(made.get("retry")),
            created_at: made.number("created_at"),
            waits_for_input: false,
            live: BTreeSet::new(),
            attempts: 0,
            interruptions: 0,
        };
        if status != RunStatus::Canceled {
            self.count(id, &run)?;
        }
        if let Some(task) = self.tasks.get_mut(&owner) {
            task.runs.push(id.to_owned());
        }
        must!(self.runs.insert(id.to_owned(), run).is_none(), "{id} was made before");
        self.run_ids.push(id.to_owned());
        self.touch(id);
        Ok(())
    }

    /// Holds a new run against the limit of its trigger, as it was made. What somebody asked for by
    /// an input counts, and is no fire.
    fn count(&mut self, id: &str, run: &Run) -> Result<(), Violation> {
        let Some(limit) = rules::limit_of(&run.owner) else { return Ok(()) };
        let since = run.created_at - i64::try_from(limit.window.as_millis()).unwrap();
        let counted = self.counted.entry(run.owner.clone()).or_default();
        counted.insert((run.created_at, id.to_owned()), ());
        let within = counted.range((since + 1, String::new())..).count();
        let fits = run.event.is_none() || within <= limit.max as usize;
        must!(fits, "{id} is the {within}th run within {limit:?}");
        Ok(())
    }

    fn change_run(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        let (was, is): (RunStatus, RunStatus) =
            (before.get("status").parse()?, after.get("status").parse()?);
        // What a wrong clock has left in the future is set to the present, in what has ended, too.
        let times = ["created_at", "ended_at"];
        let same = before.without(&times) == after.without(&times);
        must!(!was.is_terminal() || same, "{id} had ended: {before:?}, now {after:?}");
        must!(was == is || was.may_become(is), "{id} was {was}, and is {is}");
        let ended = after.find("ended_at").is_some();
        must!(ended == is.is_terminal(), "{id} is {is}, and its end is {ended}");
        self.made_earlier(id, after.number("created_at"))?;
        let run = self.runs.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
        must!(run.status == was, "{id} was seen as {}, and was {was}", run.status);
        run.status = is;
        run.attempt = after.number("attempt");
        run.waits_for_input = after.get("interaction") == "waiting_for_input";
        let (owner, created_at) = (run.owner.clone(), run.created_at);
        if is == RunStatus::Canceled
            && let Some(counted) = self.counted.get_mut(&owner)
        {
            counted.remove(&(created_at, id.to_owned()));
        }
        self.touch(id);
        Ok(())
    }

    /// A run that a wrong clock has made in the future counts from when that was found.
    fn made_earlier(&mut self, id: &str, created_at: i64) -> Result<(), Violation> {
        let run = self.runs.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
        let was = std::mem::replace(&mut run.created_at, created_at);
        must!(created_at <= was, "{id} was made at {was}, and now at {created_at}");
        if let Some(counted) = self.counted.get_mut(&run.owner)
            && counted.remove(&(was, id.to_owned())).is_some()
        {
            counted.insert((created_at, id.to_owned()), ());
        }
        Ok(())
    }

    fn touch(&mut self, run: &str) {
        self.touched.runs.insert(run.to_owned());
        if let Some(run) = self.runs.get(run) {
            self.touched.tasks.insert(run.owner.clone());
            self.touched.tasks.extend(run.task.clone());
        }
    }

    /// A run and its attempts say the same.
    fn judge_run(&self, id: &str) -> Result<(), Violation> {
        let run = self.run(id)?;
        let live: Vec<&Command> = run.live.iter().map(|id| &self.commands[id]).collect();
        let states: Vec<CommandState> = live.iter().map(|command| command.state).collect();
        let status = run.status;
        let agrees = match (status, &states[..]) {
            (RunStatus::Scheduled, [state]) => *state != CommandState::Running,
            (RunStatus::Running, [state]) => *state == CommandState::Running,
            (RunStatus::Scheduled | RunStatus::Running, _) => false,
            (_, states) => states.is_empty(),
        };
        must!(agrees, "{id} is {status}, and its attempts are {states:?}");
        if status == RunStatus::Running {
            let (run, command) = (run.attempt, live[0].attempt);
            must!(run == command, "{id} is at attempt {run}, and its command at {command}");
        }
        if status == RunStatus::Delegated {
            let task = run.task.as_ref().and_then(|task| self.tasks.get(task));
            let open = task.is_some_and(|task| !task.status.is_terminal());
            must!(open, "{id} was handed over, and its task is {task:?}");
        }
        let most = 1 + run.retries_max + run.interruptions;
        must!(run.attempts <= most, "{id} has {} attempts of {most}", run.attempts);
        Ok(())
    }
}

/// Commands.
impl Book {
    fn make_command(&mut self, id: &str, made: &Image) -> Result<(), Violation> {
        let state: CommandState = made.get("state").parse()?;
        let begins = matches!(state, CommandState::Pending | CommandState::Blocked);
        must!(begins, "{id} was made as {state}");
        let (kind, run) = (made.get("type").to_owned(), made.find("run_id"));
        let attempt = made.number("attempt");
        let command = Command {
            workspace: made.get("workspace_id").to_owned(),
            kind,
            run: run.clone(),
            state,
            attempt,
            token: None,
            worker: None,
            token_expires_at: 0,
            session: made.find("session_id"),
            class: made.find("class_id"),
            lane: made.find("lane"),
        };
        if let Some(run_id) = run.filter(|_| command.kind == "run") {
            let run = self.runs.get_mut(&run_id).ok_or_else(|| format!("{id} is of no run"))?;
            let (next, workspace) = (run.attempts + 1, made.get("workspace_id"));
            must!(attempt == next, "{id} is attempt {attempt} of {run_id}, whose next is {next}");
            must!(workspace == run.workspace, "{id} is of another workspace than {run_id}");
            run.attempts = attempt;
            run.live.insert(id.to_owned());
            self.waiting += 1;
            self.touch(&run_id);
        }
        if state == CommandState::Blocked {
            self.blocked.insert(id.to_owned());
        }
        must!(self.commands.insert(id.to_owned(), command).is_none(), "{id} was made before");
        self.command_ids.push(id.to_owned());
        Ok(())
    }

    fn change_command(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        let (was, is): (CommandState, CommandState) =
            (before.get("state").parse()?, after.get("state").parse()?);
        if was.is_terminal() && after == &before.without(&["token_hash", "token_expires_at"]) {
            return self.forget_token(id);
        }
        if was.is_terminal() && before != after {
            let command =
                self.commands.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
            command.token_expires_at = after.number("token_expires_at");
            return put_back(id, before, after, "token_expires_at");
        }
        must!(was == is || was.may_become(is), "{id} was {was}, and is {is}");
        self.fence(id, was, after, is)?;
        let ended = after.find("ended_at").is_some();
        must!(ended == is.is_terminal(), "{id} is {is}, and its end is {ended}");
        let times = after.number("dispatch_attempts");
        must!(times <= i64::from(DISPATCH_ATTEMPTS_MAX), "{id} went out {times} times");

        let command = self.commands.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
        must!(command.state == was, "{id} was seen as {}, and was {was}", command.state);
        let earlier = std::mem::replace(&mut command.session, after.find("session_id"));
        command.state = is;
        command.worker = after.find("worker_id");
        command.token = after.find("token_hash");
        command.token_expires_at =
            after.find("token_expires_at").map_or(0, |at| at.parse().unwrap());
        let session = command.session.clone();
        let (run, is_attempt) = (command.run.clone(), command.kind == "run");
        let places = [command.class.clone(), command.lane.clone()];

        if is_attempt {
            if was.is_active() != is.is_active() {
                self.go(was.is_active(), &places);
            }
            let waits = |state| matches!(state, CommandState::Pending | CommandState::Blocked);
            match (waits(was), waits(is)) {
                (true, false) => self.waiting -= 1,
                (false, true) => self.waiting += 1,
                _ => {}
            }
        }
        for session in [earlier, session.clone()].into_iter().flatten() {
            self.out_of_session.entry(session.clone()).or_default().remove(id);
            self.touched.sessions.insert(session);
        }
        if let Some(session) = session.filter(|_| is.is_active()) {
            self.out_of_session.entry(session).or_default().insert(id.to_owned());
        }
        if is != CommandState::Blocked {
            self.blocked.remove(id);
        }
        if let Some(run_id) = run.filter(|_| is_attempt) {
            if is.is_terminal() {
                self.runs.get_mut(&run_id).unwrap().live.remove(id);
            }
            self.touch(&run_id);
        }
        Ok(())
    }

    /// What is out has a worker, a lease and a token, which is nobody else's and stays as long.
    fn fence(
        &mut self,
        id: &str,
        was: CommandState,
        after: &Image,
        is: CommandState,
    ) -> Result<(), Violation> {
        let token = after.find("token_hash");
        let known = self.commands.get(id).and_then(|command| command.token.clone());
        let has =
            ["worker_id", "token_hash", "lease_expires_at"].map(|it| after.find(it).is_some());
        match (was.is_active(), is.is_active()) {
            (false, true) => {
                must!(has == [true; 3], "{id} went out, and has {after:?}");
                let token = token.unwrap_or_default();
                must!(self.tokens.insert(token), "{id} went out with a token that was used");
            }
            (true, true) => {
                must!(has == [true; 3], "{id} is out, and has {after:?}");
                must!(token == known, "{id} is out, and its token was changed");
            }
            (_, false) if is.is_terminal() => {
                must!(token == known, "{id} has ended, and its token was changed");
                must!(!has[2], "{id} has ended, and keeps its lease");
            }
            _ => must!(has == [false; 3], "{id} waits, and has {after:?}"),
        }
        Ok(())
    }

    fn go(&mut self, back: bool, places: &[Option<String>]) {
        self.touched.out = true;
        let step = |count: &mut u32| if back { *count -= 1 } else { *count += 1 };
        step(&mut self.out_at_all);
        for place in places.iter().flatten() {
            step(self.out.entry(place.clone()).or_default());
        }
    }

    fn judge_limits(&self) -> Result<(), Violation> {
        let out = self.out_at_all;
        must!(out <= Limits::HOST, "{out} commands are out, of {}", Limits::HOST);
        for (place, out) in &self.out {
            let most = if place.contains('/') { Limits::LANE } else { Limits::CLASS };
            must!(*out <= most, "{out} commands are out of {place}, of {most}");
        }
        Ok(())
    }
}

/// Sessions, tasks, inputs, workers and schedules.
impl Book {
    fn change_session(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        let known = self.sessions.get(id).cloned().flatten();
        let (was, is) = (before.find("lease_command_id"), after.find("lease_command_id"));
        must!(was == known, "{id} was seen as held by {known:?}, and was by {was:?}");
        let taken = was.is_some() && is.is_some() && was != is;
        must!(!taken, "{id} was held by {was:?}, and is by {is:?}");
        self.sessions.insert(id.to_owned(), is);
        self.touched.sessions.insert(id.to_owned());
        Ok(())
    }

    /// One command at most is out of a session, and holds its lease.
    fn judge_session(&self, id: &str) -> Result<(), Violation> {
        let none = BTreeSet::new();
        let out = self.out_of_session.get(id).unwrap_or(&none);
        must!(out.len() <= 1, "{out:?} are out of {id} together");
        let holder = self.sessions.get(id).cloned().flatten();
        must!(out.first() == holder.as_ref(), "{id} is held by {holder:?}, and {out:?} is out");
        Ok(())
    }

    fn make_task(&mut self, id: &str, made: &Image) -> Result<(), Violation> {
        let (status, run) = (made.get("status").parse()?, made.get("run_id").to_owned());
        must!(status == TaskStatus::Queued, "{id} was made as {status}");
        // Its run may have been made just before it.
        let runs = match self.runs.get(&run) {
            Some(made) if made.owner == id => vec![run.clone()],
            _ => vec![],
        };
        let workspace = made.get("workspace_id").to_owned();
        self.tasks.insert(id.to_owned(), Task { workspace, status, run, runs, is_keyed: true });
        self.task_ids.push(id.to_owned());
        self.touched.tasks.insert(id.to_owned());
        Ok(())
    }

    fn change_task(&mut self, id: &str, before: &Image, after: &Image) -> Result<(), Violation> {
        let (was, is): (TaskStatus, TaskStatus) =
            (before.get("status").parse()?, after.get("status").parse()?);
        if was.is_terminal() && after == &before.without(&["idempotency_key"]) {
            self.tasks.get_mut(id).ok_or_else(|| format!("{id} was never made"))?.is_keyed = false;
            return Ok(());
        }
        // It is open again with a run that was asked for after its end, and not otherwise.
        let taken_up = was.is_terminal() && before.get("run_id") != after.get("run_id");
        if was.is_terminal() && !taken_up && before != after {
            return put_back(id, before, after, "ended_at");
        }
        must!(was == is || was.may_become(is), "{id} was {was}, and is {is}");
        must!(!taken_up || is == TaskStatus::Queued, "{id} was taken up again as {after:?}");
        let task = self.tasks.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
        must!(task.status == was, "{id} was seen as {}, and was {was}", task.status);
        task.status = is;
        task.run = after.get("run_id").to_owned();
        self.touched.tasks.insert(id.to_owned());
        Ok(())
    }

    /// A task says what its present run does; and what was handed over to it ends with it.
    fn judge_task(&self, id: &str) -> Result<(), Violation> {
        let Some(task) = self.tasks.get(id) else { return Ok(()) };
        let status = task.status;
        let latest = task.runs.iter().position(|run| *run == task.run);
        let Some(latest) = latest else {
            let removed = status.is_terminal() && self.gone.runs.contains(&task.run);
            must!(removed, "{id} has no run {}", task.run);
            return Ok(());
        };
        let under_way = |run: &&String| {
            matches!(self.runs[*run].status, RunStatus::Scheduled | RunStatus::Running)
        };
        must!(latest + 1 == task.runs.len(), "{id} does not know of all its runs: {task:?}");
        let present = task.runs.iter().find(under_way);
        let present = &self.runs[present.unwrap_or(&task.run)];
        let agrees = match status {
            // What is blocked is kept as queued.
            TaskStatus::Blocked => false,
            TaskStatus::Queued | TaskStatus::Sleeping => present.status == RunStatus::Scheduled,
            TaskStatus::Running => present.status == RunStatus::Running && !present.waits_for_input,
            TaskStatus::Waiting => present.status == RunStatus::Running && present.waits_for_input,
            TaskStatus::Done => present.status == RunStatus::Completed,
            TaskStatus::Canceled => present.status == RunStatus::Canceled,
            TaskStatus::Error | TaskStatus::Dropped => present.status == RunStatus::Failed,
        };
        must!(agrees, "{id} is {status}, and its present run is {present:?}");
        Ok(())
    }

    fn give(&mut self, id: &str, image: &Image) {
        let input = Input {
            into_run: image.get("into_run_id").to_owned(),
            outcome: image.get("outcome").to_owned(),
        };
        let interrupts = input.outcome == "interrupted";
        let into = input.into_run.clone();
        let new = self.inputs.insert(id.to_owned(), input).is_none();
        if let Some(run) = self.runs.get_mut(&into).filter(|_| new && interrupts) {
            run.interruptions += 1;
        }
    }

    fn change_worker(&mut self, id: &str, after: &Image) -> Result<(), Violation> {
        let revoked = after.get("admin_state") == "revoked";
        must!(revoked || !self.revoked.contains(id), "{id} was revoked, and is {after:?}");
        if revoked {
            self.revoked.insert(id.to_owned());
        }
        Ok(())
    }

    /// A schedule never goes back.
    fn move_on(&mut self, id: &str, after: &Image) -> Result<(), Violation> {
        let Some(next) = after.find("next_run_at") else { return Ok(()) };
        let next: i64 = next.parse().unwrap();
        let before = self.slots.insert(id.to_owned(), next).unwrap_or(i64::MIN);
        let set_back = after.find("set_back_from").is_some_and(|from| from == before.to_string());
        must!(before <= next || set_back, "{id} went back from {before} to {next}");
        Ok(())
    }
}

/// A row is the same as before, but for one instant that was in the future.
fn put_back(id: &str, before: &Image, after: &Image, column: &str) -> Result<(), Violation> {
    let same = before.without(&[column]) == after.without(&[column]);
    let earlier = before.number(column) >= after.number(column);
    must!(same && earlier, "{id} was {before:?}, and now is {after:?}");
    Ok(())
}

fn retries_max(retry: &str) -> i64 {
    let retry: serde_json::Value = serde_json::from_str(retry).unwrap();
    retry["max_retries"].as_i64().unwrap_or(0)
}
