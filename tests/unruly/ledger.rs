//! What the workers were given, what they said, and what the host took of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Write as _;
use std::time::Instant;

use hillock::dispatch::protocol::Held;
use hillock::model::id::{CommandId, RunId};
use hillock::model::run::{Run, RunStatus};

/// What a worker says of a command, as far as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Word {
    Logs,
    Finished,
    /// It is answered as a finish is.
    HandedBack,
}

/// The host took a word: its token was current at some instant in between.
#[derive(Clone, Copy, Debug)]
struct Current {
    said: Instant,
    answered: Instant,
}

#[derive(Default)]
struct Grant {
    /// When its words of each sort were first said, and not answered yet.
    said: HashMap<Word, Instant>,
    current: Vec<Current>,
    /// The host took its finish.
    finished: bool,
}

#[derive(Default)]
pub(super) struct Ledger {
    runs: HashMap<CommandId, RunId>,
    /// By command, then by token.
    grants: HashMap<CommandId, HashMap<String, Grant>>,
    given: usize,
    accepted: usize,
    refused: usize,
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { given, accepted, refused, .. } = self;
        write!(f, "given {given}, words taken {accepted}, refused {refused}")
    }
}

impl Ledger {
    /// What tells a token, and nobody else can know.
    pub(super) fn marker(held: &Held) -> String {
        hex::encode(held.token.hash())
    }

    pub(super) fn given(&mut self, held: &Held, run_id: &RunId) {
        self.given += 1;
        self.runs.insert(held.command_id.clone(), run_id.clone());
        self.grant(held);
    }

    pub(super) fn said(&mut self, held: &Held, word: Word) {
        self.grant(held).said.entry(word).or_insert_with(Instant::now);
    }

    pub(super) fn accepted(&mut self, held: &Held, word: Word) {
        self.accepted += 1;
        let grant = self.grant(held);
        let answered = Instant::now();
        let said = grant.said.get(&word).copied().unwrap_or(answered);
        grant.current.push(Current { said, answered });
    }

    /// A finish or a hand-back was taken: which, only who said both does not know.
    pub(super) fn settled(&mut self, held: &Held) {
        let grant = self.grant(held);
        let back = grant.said.contains_key(&Word::HandedBack);
        grant.finished |= !back;
        self.accepted(held, if back { Word::HandedBack } else { Word::Finished });
    }

    pub(super) fn refused(&mut self, _held: &Held) {
        self.refused += 1;
    }

    fn grant(&mut self, held: &Held) -> &mut Grant {
        let tokens = self.grants.entry(held.command_id.clone()).or_default();
        tokens.entry(Self::marker(held)).or_default()
    }

    /// To the terminal, whether the test passes or not.
    pub(super) fn print(&self, title: &str, ended: &BTreeMap<RunId, Run>) {
        let mut how: BTreeMap<&str, usize> = BTreeMap::new();
        for run in ended.values() {
            *how.entry(self.end_of(run)).or_default() += 1;
        }
        let several = self.grants.values().filter(|tokens| tokens.len() > 1).count();
        let _ = writeln!(
            std::io::stderr(),
            "ledger ({title}): commands {}, {self}, given more than once {several}, ended {how:?}",
            ended.len(),
        );
    }

    fn end_of(&self, run: &Run) -> &'static str {
        match run.error.as_deref() {
            Some(error) if error.starts_with("max dispatch attempts") => "lost too often",
            Some(_) if run.status == RunStatus::Failed => "failed",
            None if run.status == RunStatus::Completed => "completed",
            _ => "otherwise",
        }
    }

    pub(super) fn check(&self, ended: &BTreeMap<RunId, Run>) {
        assert!(self.refused > 20, "there was a lot to refuse: {self}");
        for run in ended.values() {
            assert!(run.ended_at.is_some(), "{run:?}");
            assert_ne!(self.end_of(run), "otherwise", "{run:?}");
        }
        for (command, tokens) in &self.grants {
            self.check_turns(command, tokens);
            self.check_end(command, tokens, ended);
        }
    }

    /// A token that was current after another one had been was never so before.
    fn check_turns(&self, command: &CommandId, tokens: &HashMap<String, Grant>) {
        for (token, grant) in tokens {
            for (other, rival) in tokens.iter().filter(|(other, _)| *other != token) {
                let between = |at: &Current| {
                    grant.current.iter().any(|early| early.answered < at.said)
                        && grant.current.iter().any(|late| at.answered < late.said)
                };
                let taken = rival.current.iter().find(|at| between(at));
                assert!(taken.is_none(), "{command}: {other} was current in the midst of {token}");
            }
        }
    }

    /// The store has the ending of a token that was given for this command, and the host told the
    /// token's holder so, if it told anybody.
    fn check_end(
        &self,
        command: &CommandId,
        tokens: &HashMap<String, Grant>,
        ended: &BTreeMap<RunId, Run>,
    ) {
        let finished = tokens.values().filter(|grant| grant.finished).count();
        assert!(finished <= 1, "{command} was finished under {finished} tokens");
        // A lie about a command that it was never given has no run.
        let Some(run) = self.runs.get(command).and_then(|id| ended.get(id)) else { return };
        if self.end_of(run) == "failed" {
            let error = run.error.as_deref().unwrap_or_default();
            assert!(tokens.contains_key(error), "{command} ended by a token that was never given");
        }
    }
}
