//! The command's state machine, cell by cell: what each word does in each state, what it answers,
//! and that a word with another token does nothing.

use std::time::Duration;

use hillock::model::command::{CommandState, Hold, LEASE, Token};
use hillock::model::definition::Agent;
use hillock::model::id::{CommandId, RunId, WorkerId};
use hillock::model::policy::{Ask, Policy};
use hillock::model::queue::QUEUE_TIMEOUT;
use hillock::model::run::{Ending, LogLine, Run, RunStatus, Stream};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::{self, Canceling, CommandFilter, Decided, Decision, Fence};
use hillock::store::{Store, logs};

use super::fixture::{agent, at, claim, first_page, open, run, scheduled_as, token, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(every_cell_of_the_table, a_stale_token_or_one_in_other_hands_changes_nothing);

use CommandState::{
    Acknowledged, Blocked, Canceled, Completed, Expired, Failed, Pending, Running, Sent,
};

#[derive(Clone, Copy, Debug)]
enum Word {
    Acknowledge,
    Start,
    Complete,
    Fail,
    EndCanceled,
    HandBack,
    Renew,
    Append,
    LeaseOver,
    Release,
    Expire,
    Approve,
    Deny,
    CallOff,
    Cancel,
}
use Word::{
    Acknowledge, Append, Approve, CallOff, Cancel, Complete, Deny, EndCanceled, Expire, Fail,
    HandBack, LeaseOver, Release, Renew, Start,
};

/// The words that carry a token.
const FENCED: [Word; 8] =
    [Acknowledge, Start, Complete, Fail, EndCanceled, HandBack, Renew, Append];

type Row = [(Word, &'static str, CommandState); 15];

/// What each word answers, and the state it leads to, by the state it is said in.
#[rustfmt::skip]
const TABLE: [(CommandState, Row); 9] = [
    (Blocked, [
        (Acknowledge, "lost", Blocked), (Start, "lost", Blocked), (Complete, "lost", Blocked),
        (Fail, "lost", Blocked), (EndCanceled, "lost", Blocked), (HandBack, "lost", Blocked),
        (Renew, "lost", Blocked), (Append, "lost", Blocked), (LeaseOver, "0", Blocked),
        (Release, "0", Blocked), (Expire, "1", Expired), (Approve, "done", Pending),
        (Deny, "done", Canceled), (CallOff, "ended", Canceled), (Cancel, "ended", Canceled),
    ]),
    (Pending, [
        (Acknowledge, "lost", Pending), (Start, "lost", Pending), (Complete, "lost", Pending),
        (Fail, "lost", Pending), (EndCanceled, "lost", Pending), (HandBack, "lost", Pending),
        (Renew, "lost", Pending), (Append, "lost", Pending), (LeaseOver, "0", Pending),
        (Release, "0", Pending), (Expire, "1", Expired), (Approve, "pending", Pending),
        (Deny, "pending", Pending), (CallOff, "ended", Canceled), (Cancel, "ended", Canceled),
    ]),
    (Sent, [
        (Acknowledge, "held", Acknowledged), (Start, "lost", Sent),
        (Complete, "lost", Sent), (Fail, "held", Failed), (EndCanceled, "held", Canceled),
        (HandBack, "held", Pending), (Renew, "kept", Sent), (Append, "lost", Sent),
        (LeaseOver, "1", Pending), (Release, "1", Pending), (Expire, "0", Sent),
        (Approve, "sent", Sent), (Deny, "sent", Sent), (CallOff, "asked", Sent),
        (Cancel, "asked", Sent),
    ]),
    (Acknowledged, [
        (Acknowledge, "held", Acknowledged), (Start, "held", Running),
        (Complete, "held", Completed), (Fail, "held", Failed), (EndCanceled, "held", Canceled),
        (HandBack, "held", Pending), (Renew, "kept", Acknowledged), (Append, "held", Acknowledged),
        (LeaseOver, "1", Pending), (Release, "1", Pending), (Expire, "0", Acknowledged),
        (Approve, "acknowledged", Acknowledged), (Deny, "acknowledged", Acknowledged),
        (CallOff, "asked", Acknowledged), (Cancel, "asked", Acknowledged),
    ]),
    (Running, [
        (Acknowledge, "held", Running), (Start, "held", Running), (Complete, "held", Completed),
        (Fail, "held", Failed), (EndCanceled, "held", Canceled), (HandBack, "held", Pending),
        (Renew, "kept", Running), (Append, "held", Running), (LeaseOver, "1", Pending),
        (Release, "1", Pending), (Expire, "0", Running), (Approve, "running", Running),
        (Deny, "running", Running), (CallOff, "asked", Running), (Cancel, "asked", Running),
    ]),
    (Completed, [
        (Acknowledge, "held", Completed), (Start, "held", Completed),
        (Complete, "held", Completed), (Fail, "lost", Completed), (EndCanceled, "lost", Completed),
        (HandBack, "lost", Completed), (Renew, "kept", Completed), (Append, "lost", Completed),
        (LeaseOver, "0", Completed), (Release, "0", Completed), (Expire, "0", Completed),
        (Approve, "completed", Completed), (Deny, "completed", Completed),
        (CallOff, "over", Completed), (Cancel, "over", Completed),
    ]),
    (Failed, [
        (Acknowledge, "held", Failed), (Start, "held", Failed), (Complete, "lost", Failed),
        (Fail, "held", Failed), (EndCanceled, "lost", Failed), (HandBack, "lost", Failed),
        (Renew, "kept", Failed), (Append, "lost", Failed), (LeaseOver, "0", Failed),
        (Release, "0", Failed), (Expire, "0", Failed), (Approve, "failed", Failed),
        (Deny, "failed", Failed), (CallOff, "over", Failed), (Cancel, "over", Failed),
    ]),
    (Canceled, [
        (Acknowledge, "held", Canceled), (Start, "held", Canceled), (Complete, "lost", Canceled),
        (Fail, "lost", Canceled), (EndCanceled, "held", Canceled), (HandBack, "lost", Canceled),
        (Renew, "kept", Canceled), (Append, "lost", Canceled), (LeaseOver, "0", Canceled),
        (Release, "0", Canceled), (Expire, "0", Canceled), (Approve, "canceled", Canceled),
        (Deny, "canceled", Canceled), (CallOff, "over", Canceled), (Cancel, "over", Canceled),
    ]),
    (Expired, [
        (Acknowledge, "lost", Expired), (Start, "lost", Expired), (Complete, "lost", Expired),
        (Fail, "lost", Expired), (EndCanceled, "lost", Expired), (HandBack, "lost", Expired),
        (Renew, "lost", Expired), (Append, "lost", Expired), (LeaseOver, "0", Expired),
        (Release, "0", Expired), (Expire, "0", Expired), (Approve, "expired", Expired),
        (Deny, "expired", Expired), (CallOff, "over", Expired), (Cancel, "over", Expired),
    ]),
];

async fn every_cell_of_the_table(database: Database) {
    let store = open(&database).await;
    for (i, (state, row)) in TABLE.into_iter().enumerate() {
        for (j, (word, answer, next)) in row.into_iter().enumerate() {
            let now = at(3 * 3600 * (20 * i + j) as i64);
            let cell = Cell::in_state(&store, state, now).await;
            let token = cell.token.clone();
            assert_eq!(cell.say(word, &token).await, answer, "{word:?} in {state}");
            assert_eq!(cell.state().await, next, "after {word:?} in {state}");
        }
    }
}

async fn a_stale_token_or_one_in_other_hands_changes_nothing(database: Database) {
    let store = open(&database).await;
    let states = CommandState::ALL.iter().map(|(state, _)| *state);
    for (i, state) in states.enumerate() {
        for (j, word) in FENCED.into_iter().enumerate() {
            let cell = Cell::in_state(&store, state, at(3 * 3600 * (20 * i + j) as i64)).await;
            let before = format!("{:?}", run(&store, &cell.run_id).await);
            assert_eq!(cell.say(word, &token()).await, "lost", "{word:?} in {state}");
            let another = Cell { worker: worker(), token: cell.token.clone(), ..cell };
            let said = another.say(word, &another.token).await;
            assert_eq!(said, "lost", "{word:?} by another worker in {state}");
            let cell = another;
            let after = format!("{:?}", run(&store, &cell.run_id).await);
            assert_eq!(after, before, "{word:?} in {state}");
            assert_eq!(cell.state().await, state, "after {word:?}");
        }
    }
}

/// A command of an agent of its own, and the last token it had.
struct Cell<'s> {
    store: &'s Store,
    worker: WorkerId,
    run_id: RunId,
    id: CommandId,
    token: Token,
    now: Time,
}

impl<'s> Cell<'s> {
    async fn in_state(store: &'s Store, state: CommandState, now: Time) -> Self {
        // What earlier cells left is put aside.
        while commands::release_expired(store, now).await.unwrap() > 0 {}
        while commands::expire(store, now).await.unwrap() > 0 {}
        let (agent, worker) = (agent(), worker());
        let run_id = scheduled_as(store, &agent, |mut run| {
            let ask = if state == Blocked { Ask::Always } else { Ask::Off };
            run.terms.policy = Some(Policy { ask, ..Policy::default() });
            run.terms.queue_timeout_ms = None;
            run.created_at = now;
            run
        })
        .await;
        let filter = CommandFilter { run_id: Some(run_id.clone()), ..CommandFilter::default() };
        let page = commands::list(store, &Scope::Global, &filter, first_page(2)).await.unwrap();
        let [command] = &page.items[..] else { panic!("{page:?}") };
        let mut cell = Self { store, worker, run_id, id: command.id.clone(), token: token(), now };
        if !matches!(state, Blocked | Expired) {
            cell.claim(&agent).await;
        }
        let token = &cell.token;
        match state {
            Blocked | Sent => {}
            Pending => drop(cell.say(HandBack, token).await),
            Acknowledged => drop(cell.say(Acknowledge, token).await),
            Running => {
                cell.say(Acknowledge, token).await;
                cell.say(Start, token).await;
            }
            Completed => {
                cell.say(Acknowledge, token).await;
                cell.say(Complete, token).await;
            }
            Failed => drop(cell.say(Fail, token).await),
            Canceled => drop(cell.say(EndCanceled, token).await),
            Expired => drop(cell.say(Expire, token).await),
        }
        assert_eq!(cell.state().await, state);
        cell
    }

    async fn claim(&mut self, agent: &Agent) {
        let claim = claim(self.store, &self.worker, agent, self.now).await.unwrap();
        assert_eq!(claim.id, self.id);
        self.token = claim.token;
    }

    async fn say(&self, word: Word, token: &Token) -> String {
        let (store, id, now) = (self.store, &self.id, self.now);
        let hold = self.hold(token);
        let failed = Ending::failed("exit status 1");
        match word {
            Acknowledge => fence(commands::acknowledge(store, &hold, now).await.unwrap()),
            Start => fence(commands::start(store, &hold, now).await.unwrap()),
            Complete => self.finish(token, Ending::Completed).await,
            Fail => self.finish(token, failed).await,
            EndCanceled => self.finish(token, Ending::Canceled).await,
            HandBack => fence(commands::hand_back(store, &hold, now).await.unwrap()),
            Append => {
                let line = LogLine { at: now, stream: Stream::Stdout, text: "hello".to_owned() };
                fence(logs::append(store, &hold, 1, vec![line], now).await.unwrap())
            }
            Renew => self.renew(token).await,
            LeaseOver => commands::release_expired(store, now + LEASE).await.unwrap().to_string(),
            Release => {
                let released = commands::release_others(store, &self.worker, &[], now).await;
                released.unwrap().to_string()
            }
            Expire => {
                let early = now + QUEUE_TIMEOUT - Duration::from_millis(1);
                assert_eq!(commands::expire(store, early).await.unwrap(), 0, "not yet");
                commands::expire(store, now + QUEUE_TIMEOUT).await.unwrap().to_string()
            }
            Approve => self.decide(Decision::Approve).await,
            Deny => self.decide(Decision::Deny).await,
            CallOff => {
                let called_off = commands::call_off(store, &Scope::Global, id, now).await;
                self.canceling(called_off.unwrap())
            }
            Cancel => {
                let canceled = commands::cancel(store, &Scope::Global, &self.run_id, now).await;
                self.canceling(canceled.unwrap())
            }
        }
    }

    async fn finish(&self, token: &Token, ending: Ending) -> String {
        fence(commands::finish(self.store, &self.hold(token), ending, self.now).await.unwrap())
    }

    fn hold(&self, token: &Token) -> Hold {
        let (worker_id, command_id) = (self.worker.clone(), self.id.clone());
        Hold { worker_id, command_id, token: token.clone() }
    }

    async fn renew(&self, token: &Token) -> String {
        let held = vec![(self.id.clone(), token.clone())];
        let renewed = commands::renew(self.store, &self.worker, held, self.now).await.unwrap();
        assert!(renewed.canceling.is_empty());
        if renewed.lost.is_empty() { "kept" } else { "lost" }.to_owned()
    }

    async fn decide(&self, decision: Decision) -> String {
        let (store, scope) = (self.store, Scope::Global);
        let decided = commands::decide(store, &scope, &self.id, decision, self.now).await;
        match decided.unwrap().unwrap() {
            Decided::Done => "done".to_owned(),
            Decided::NotBlocked(state) => state.to_string(),
        }
    }

    fn canceling(&self, canceling: Option<Canceling>) -> String {
        match canceling.unwrap() {
            Canceling::Ended => "ended",
            Canceling::Asked { command_id, worker_id } => {
                assert_eq!((command_id, worker_id), (self.id.clone(), self.worker.clone()));
                "asked"
            }
            Canceling::Over => "over",
        }
        .to_owned()
    }

    /// The state, in which the run is as it should be.
    async fn state(&self) -> CommandState {
        let found = commands::find(self.store, &Scope::Global, &self.id).await.unwrap().unwrap();
        let Run { status, ended_at, .. } = run(self.store, &self.run_id).await;
        let wanted = match found.state {
            Blocked => RunStatus::Blocked,
            Pending | Sent | Acknowledged => RunStatus::Scheduled,
            Running => RunStatus::Running,
            Completed => RunStatus::Completed,
            Failed | Expired => RunStatus::Failed,
            Canceled => RunStatus::Canceled,
        };
        assert_eq!(status, wanted, "{}", found.state);
        assert_eq!(ended_at.is_some(), found.state.is_terminal(), "{}", found.state);
        assert_eq!(found.ended_at.is_some(), found.state.is_terminal(), "{}", found.state);
        assert_eq!(found.lease_expires_at.is_some(), found.state.is_active(), "{}", found.state);
        found.state
    }
}

fn fence(fence: Fence) -> String {
    match fence {
        Fence::Held => "held",
        Fence::Lost => "lost",
    }
    .to_owned()
}
