//! The command's state machine, cell by cell: what each word does in each state, what it answers,
//! and that a word with another token does nothing.

use hillock::model::command::{Claim, Token};
use hillock::model::definition::Agent;
use hillock::model::id::WorkerId;
use hillock::model::run::{Ending, LogLine, Run, RunStatus, Stream};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::commands::{self, Canceling, Fence};
use hillock::store::{Store, logs};

use super::fixture::{agent, at, claim, open, run, scheduled, token, worker};
use crate::harness::database::Database;
use crate::harness::on_both_databases;

on_both_databases!(every_cell_of_the_table, a_stale_token_changes_nothing);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pending,
    Sent,
    Running,
    Completed,
    Failed,
    Canceled,
}
use State::{Canceled, Completed, Failed, Pending, Running, Sent};

#[derive(Clone, Copy, Debug)]
enum Word {
    Start,
    Complete,
    Fail,
    EndCanceled,
    HandBack,
    Renew,
    Append,
    Expire,
    Release,
    Cancel,
}
use Word::{Append, Cancel, Complete, EndCanceled, Expire, Fail, HandBack, Release, Renew, Start};

/// The words that carry a token.
const FENCED: [Word; 7] = [Start, Complete, Fail, EndCanceled, HandBack, Renew, Append];

type Row = [(Word, &'static str, State); 10];

/// What each word answers, and the state it leads to, by the state it is said in.
#[rustfmt::skip]
const TABLE: [(State, Row); 6] = [
    (Pending, [
        (Start, "lost", Pending), (Complete, "lost", Pending), (Fail, "lost", Pending),
        (EndCanceled, "lost", Pending), (HandBack, "lost", Pending), (Renew, "lost", Pending),
        (Append, "lost", Pending), (Expire, "0", Pending), (Release, "0", Pending),
        (Cancel, "ended", Canceled),
    ]),
    (Sent, [
        (Start, "held", Running), (Complete, "held", Completed), (Fail, "held", Failed),
        (EndCanceled, "held", Canceled), (HandBack, "held", Pending), (Renew, "kept", Sent),
        (Append, "held", Sent), (Expire, "1", Pending), (Release, "1", Pending),
        (Cancel, "asked", Sent),
    ]),
    (Running, [
        (Start, "held", Running), (Complete, "held", Completed), (Fail, "held", Failed),
        (EndCanceled, "held", Canceled), (HandBack, "held", Pending), (Renew, "kept", Running),
        (Append, "held", Running), (Expire, "1", Pending), (Release, "1", Pending),
        (Cancel, "asked", Running),
    ]),
    (Completed, [
        (Start, "held", Completed), (Complete, "held", Completed), (Fail, "lost", Completed),
        (EndCanceled, "lost", Completed), (HandBack, "lost", Completed),
        (Renew, "kept", Completed), (Append, "lost", Completed), (Expire, "0", Completed),
        (Release, "0", Completed), (Cancel, "over", Completed),
    ]),
    (Failed, [
        (Start, "held", Failed), (Complete, "lost", Failed), (Fail, "held", Failed),
        (EndCanceled, "lost", Failed), (HandBack, "lost", Failed), (Renew, "kept", Failed),
        (Append, "lost", Failed), (Expire, "0", Failed), (Release, "0", Failed),
        (Cancel, "over", Failed),
    ]),
    (Canceled, [
        (Start, "held", Canceled), (Complete, "lost", Canceled), (Fail, "lost", Canceled),
        (EndCanceled, "held", Canceled), (HandBack, "lost", Canceled), (Renew, "kept", Canceled),
        (Append, "lost", Canceled), (Expire, "0", Canceled), (Release, "0", Canceled),
        (Cancel, "over", Canceled),
    ]),
];

async fn every_cell_of_the_table(database: Database) {
    let store = open(&database).await;
    for (i, (state, row)) in TABLE.into_iter().enumerate() {
        for (j, (word, answer, next)) in row.into_iter().enumerate() {
            let now = at(3600 * (10 * i + j) as i64);
            let cell = Cell::in_state(&store, state, now).await;
            let token = cell.claim.token.clone();
            assert_eq!(cell.say(word, &token).await, answer, "{word:?} in {state:?}");
            assert_eq!(cell.state().await, next, "after {word:?} in {state:?}");
        }
    }
}

async fn a_stale_token_changes_nothing(database: Database) {
    let store = open(&database).await;
    for (i, state) in [Sent, Running, Completed, Failed, Canceled].into_iter().enumerate() {
        for (j, word) in FENCED.into_iter().enumerate() {
            let cell = Cell::in_state(&store, state, at(3600 * (10 * i + j) as i64)).await;
            let before = format!("{:?}", run(&store, &cell.claim.run_id).await);
            assert_eq!(cell.say(word, &token()).await, "lost", "{word:?} in {state:?}");
            let after = format!("{:?}", run(&store, &cell.claim.run_id).await);
            assert_eq!(after, before, "{word:?} in {state:?}");
            assert_eq!(cell.state().await, state, "after {word:?}");
        }
    }
}

/// A command of an agent of its own, with the claim that brought it into its state.
struct Cell<'s> {
    store: &'s Store,
    agent: Agent,
    worker: WorkerId,
    claim: Claim,
    now: Time,
}

impl<'s> Cell<'s> {
    async fn in_state(store: &'s Store, state: State, now: Time) -> Self {
        // What earlier cells left leased is put aside.
        while commands::release_expired(store, now).await.unwrap() > 0 {}
        let (agent, worker) = (agent(), worker());
        scheduled(store, &agent).await;
        let claim = claim(store, &worker, &agent, now).await.unwrap();
        let cell = Self { store, agent, worker, claim, now };
        let token = &cell.claim.token;
        match state {
            Sent => {}
            Pending => drop(cell.say(HandBack, token).await),
            Running => drop(cell.say(Start, token).await),
            Completed => drop(cell.say(Complete, token).await),
            Failed => drop(cell.say(Fail, token).await),
            Canceled => drop(cell.say(EndCanceled, token).await),
        }
        cell
    }

    async fn say(&self, word: Word, token: &Token) -> String {
        let (store, id, now) = (self.store, &self.claim.id, self.now);
        let failed = Ending::failed("exit status 1");
        match word {
            Start => fence(commands::start(store, id, token, now).await.unwrap()),
            Complete => self.finish(token, Ending::Completed).await,
            Fail => self.finish(token, failed).await,
            EndCanceled => self.finish(token, Ending::Canceled).await,
            HandBack => fence(commands::hand_back(store, id, token, now).await.unwrap()),
            Append => {
                let line = LogLine { at: now, stream: Stream::Stdout, text: "hello".to_owned() };
                fence(logs::append(store, id, token, 1, vec![line]).await.unwrap())
            }
            Renew => self.renew(token).await,
            Expire => {
                let later = now + hillock::model::command::LEASE;
                commands::release_expired(store, later).await.unwrap().to_string()
            }
            Release => {
                let released = commands::release_others(store, &self.worker, &[], now).await;
                released.unwrap().to_string()
            }
            Cancel => self.cancel().await,
        }
    }

    async fn finish(&self, token: &Token, ending: Ending) -> String {
        fence(commands::finish(self.store, &self.claim.id, token, ending, self.now).await.unwrap())
    }

    async fn renew(&self, token: &Token) -> String {
        let held = vec![(self.claim.id.clone(), token.clone())];
        let renewed = commands::renew(self.store, held, self.now).await.unwrap();
        assert!(renewed.canceling.is_empty());
        if renewed.lost.is_empty() { "kept" } else { "lost" }.to_owned()
    }

    async fn cancel(&self) -> String {
        let run = &self.claim.run_id;
        let canceling = commands::cancel(self.store, &Scope::Global, run, self.now).await;
        match canceling.unwrap().unwrap() {
            Canceling::Ended => "ended",
            Canceling::Asked { command_id, worker_id } => {
                assert_eq!((command_id, worker_id), (self.claim.id.clone(), self.worker.clone()));
                "asked"
            }
            Canceling::Over => "over",
        }
        .to_owned()
    }

    /// The state, by what can be seen of it: a pending command can be claimed, a sent one cannot.
    async fn state(&self) -> State {
        let Run { status, ended_at, .. } = run(self.store, &self.claim.run_id).await;
        assert_eq!(ended_at.is_some(), status.is_terminal(), "{status}");
        match status {
            RunStatus::Scheduled => {
                match claim(self.store, &worker(), &self.agent, self.now).await {
                    Some(_) => Pending,
                    None => Sent,
                }
            }
            RunStatus::Running => Running,
            RunStatus::Completed => Completed,
            RunStatus::Failed => Failed,
            RunStatus::Canceled => Canceled,
            RunStatus::Delegated => panic!("nothing delegates here"),
        }
    }
}

fn fence(fence: Fence) -> String {
    match fence {
        Fence::Held => "held",
        Fence::Lost => "lost",
    }
    .to_owned()
}
