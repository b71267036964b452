//! What a worker owes the host: its commands, the lines and the endings that the host has not
//! answered yet. Pure bookkeeping; it runs nothing and sends nothing.
//!
//! ```text
//! command taken ─► started ─► lines ─► end          as it happens here
//!                     │         │       │
//!                     ▼         ▼       ▼
//!                  `started`  `logs`  `finished`    said once on every connection, in this order
//!                               │       │
//!                            `logged` `settled`     answered: forgotten
//! ```
//! A new connection takes back all that was said and not answered ([`Ledger::rewind`]), so that it
//! is said again, under the same numbers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use tokio::time::Instant;

use super::lines::Weighed;
use crate::dispatch::protocol::{Held, ToHost};
use crate::model::id::CommandId;
use crate::model::run::Ending;

/// The most lines in one message.
const BATCH_LINES_MAX: usize = 256;
/// The most log text in one message, in bytes of JSON.
const BATCH_BYTES_MAX: usize = 128 * 1024;
/// How long lines that don't fill a message wait for more after the last message.
const PAUSE: Duration = Duration::from_millis(100);

/// How the worker's part in a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The program ended, or could not begin.
    Finished(Ending),
    /// The worker gives the command up.
    HandBack,
}

/// How a command that the host hands over relates to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not held.
    Unknown,
    /// It is held under this token.
    Current,
    /// It is held under an older token.
    Outdated,
}

/// All the commands in a worker's hands.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<CommandId, Entry>,
    /// Whose turn it was last, so that a talkative program does not silence the others.
    last: Option<CommandId>,
}

impl Ledger {
    /// Where a command stands.
    pub(super) fn standing(&self, held: &Held) -> Standing {
        match self.entries.get(&held.command_id) {
            None => Standing::Unknown,
            Some(entry) if entry.held == *held => Standing::Current,
            Some(_) => Standing::Outdated,
        }
    }

    /// Takes a command, in place of one with an older token.
    pub(super) fn take(&mut self, held: Held) {
        self.entries.insert(held.command_id.clone(), Entry::new(held));
    }

    /// Forgets a command and everything of it.
    pub(super) fn forget(&mut self, command_id: &CommandId) {
        self.entries.remove(command_id);
    }

    /// Every command held, those included whose end is not settled.
    pub(super) fn active(&self) -> Vec<Held> {
        self.entries.values().map(|entry| entry.held.clone()).collect()
    }

    /// Whether nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Notes that the command's program runs. Like the next two, it ignores a command that is not
    /// held under this token.
    pub(super) fn started(&mut self, held: &Held) {
        if let Some(entry) = self.current(held) {
            entry.started = true;
        }
    }

    /// Notes what the program wrote.
    pub(super) fn wrote(&mut self, held: &Held, lines: Vec<Weighed>) {
        if let Some(entry) = self.current(held) {
            entry.unsaid_bytes += weight(&lines);
            entry.lines.extend(lines);
        }
    }

    /// Notes the end.
    pub(super) fn ended(&mut self, held: &Held, end: End) {
        if let Some(entry) = self.current(held) {
            entry.end = Some(end);
        }
    }

    /// Forgets the lines that the host has stored; gives their weight.
    pub(super) fn logged(&mut self, command_id: &CommandId, through: u64) -> usize {
        self.entries.get_mut(command_id).map_or(0, |entry| entry.logged(through))
    }

    /// Takes back what was said and not answered.
    pub(super) fn rewind(&mut self) {
        self.entries.values_mut().for_each(Entry::rewind);
    }

    /// From when on there is something to say; `None` when there is not.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.due(now)).min()
    }

    /// The next thing to say. Nothing is said twice before the next [`Ledger::rewind`].
    pub(super) fn word(&mut self, now: Instant) -> Option<ToHost> {
        let lower = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.entries.range::<CommandId, _>((lower, Bound::Unbounded));
        let (id, _) = after.chain(&self.entries).find(|(_, entry)| entry.is_due(now))?;
        let id = id.clone();
        let word = self.entries.get_mut(&id)?.word(now);
        self.last = Some(id);
        word
    }

    fn current(&mut self, held: &Held) -> Option<&mut Entry> {
        self.entries.get_mut(&held.command_id).filter(|entry| entry.held == *held)
    }
}

#[derive(Debug)]
struct Entry {
    held: Held,
    started: bool,
    started_said: bool,
    /// The lines not answered yet; the first `said` of them are on their way.
    lines: VecDeque<Weighed>,
    said: usize,
    unsaid_bytes: usize,
    /// The number of the first of `lines`.
    first: u64,
    quiet_until: Option<Instant>,
    end: Option<End>,
    end_said: bool,
}

impl Entry {
    fn new(held: Held) -> Self {
        Self {
            held,
            started: false,
            started_said: false,
            lines: VecDeque::new(),
            said: 0,
            unsaid_bytes: 0,
            first: 1,
            quiet_until: None,
            end: None,
            end_said: false,
        }
    }

    fn rewind(&mut self) {
        self.started_said = false;
        self.said = 0;
        self.unsaid_bytes = weight(&self.lines);
        self.quiet_until = None;
        self.end_said = false;
    }

    fn logged(&mut self, through: u64) -> usize {
        let answered = through.saturating_add(1).saturating_sub(self.first);
        let answered = usize::try_from(answered).unwrap_or(usize::MAX).min(self.said);
        self.said -= answered;
        self.first += answered as u64;
        self.lines.drain(..answered).map(|line| line.weight).sum()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due(now).is_some_and(|due| due <= now)
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        let lines = self.lines.len() - self.said;
        let urgent = self.end.is_some() || is_full(lines, self.unsaid_bytes);
        if self.started && !self.started_said || lines > 0 && urgent {
            return Some(now);
        }
        if lines > 0 {
            return Some(self.quiet_until.unwrap_or(now));
        }
        (self.end.is_some() && !self.end_said).then_some(now)
    }

    fn word(&mut self, now: Instant) -> Option<ToHost> {
        if self.started && !self.started_said {
            self.started_said = true;
            return Some(ToHost::Started { held: self.held.clone() });
        }
        if self.said < self.lines.len() {
            self.quiet_until = Some(now + PAUSE);
            return Some(self.batch());
        }
        let end = self.end.as_ref().filter(|_| !self.end_said)?;
        self.end_said = true;
        let held = self.held.clone();
        Some(match end {
            End::Finished(ending) => ToHost::Finished { held, ending: ending.clone() },
            End::HandBack => ToHost::HandBack { held },
        })
    }

    fn batch(&mut self) -> ToHost {
        let first = self.first + self.said as u64;
        let mut lines = Vec::new();
        let mut bytes = 0;
        for next in self.lines.range(self.said..) {
            if !lines.is_empty() && is_full(lines.len(), bytes + next.weight) {
                break;
            }
            bytes += next.weight;
            lines.push(next.line.clone());
        }
        self.said += lines.len();
        self.unsaid_bytes -= bytes;
        ToHost::Logs { held: self.held.clone(), first, lines }
    }
}

fn is_full(lines: usize, bytes: usize) -> bool {
    lines >= BATCH_LINES_MAX || bytes >= BATCH_BYTES_MAX
}

fn weight<'l>(lines: impl IntoIterator<Item = &'l Weighed>) -> usize {
    lines.into_iter().map(|line| line.weight).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dispatch::protocol::MESSAGE_BYTES_MAX;
    use crate::model::command::Token;
    use crate::model::run::{LogLine, Stream};
    use crate::model::time::Time;
    use crate::worker::lines::LINE_BYTES_MAX;

    fn held(command: u8, token: u8) -> Held {
        let at = Time::from_millis(1_000).unwrap();
        Held { command_id: CommandId::mint(at, [command; 10]), token: Token::mint([token; 32]) }
    }

    fn line(text: &str) -> Weighed {
        let at = Time::from_millis(0).unwrap();
        LogLine { at, stream: Stream::Stdout, text: text.to_owned() }.into()
    }

    fn running(held: &Held) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.take(held.clone());
        ledger.started(held);
        ledger
    }

    /// What the ledger says at `now`, in short.
    fn said(ledger: &mut Ledger, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| ledger.word(now)).map(|word| short(&word)).collect()
    }

    fn short(word: &ToHost) -> String {
        match word {
            ToHost::Started { .. } => "started".into(),
            ToHost::Logs { first, lines, .. } => {
                let texts: Vec<_> = lines.iter().map(|line| &*line.text).collect();
                format!("{first} {}", texts.join(" "))
            }
            ToHost::Finished { ending, .. } => ending.status().to_string(),
            ToHost::HandBack { .. } => "hand_back".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_answered_is_said_again_under_the_same_numbers() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        ledger.wrote(&held, vec![line("a"), line("b"), line("c")]);
        assert_eq!(said(&mut ledger, now), ["started", "1 a b c"]);
        assert_eq!(ledger.logged(&held.command_id, 2), 2 * line("a").weight);
        ledger.ended(&held, End::Finished(Ending::Completed));
        assert_eq!(said(&mut ledger, now), ["completed"]);
        ledger.rewind();
        assert_eq!(said(&mut ledger, now), ["started", "3 c", "completed"]);
        assert_eq!(ledger.due(now), None);
        assert_eq!(ledger.active(), std::slice::from_ref(&held));
        ledger.forget(&held.command_id);
        assert!(ledger.is_empty());
    }

    #[test]
    fn few_lines_wait_for_more_and_an_end_waits_for_nothing() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        ledger.wrote(&held, vec![line("a")]);
        assert_eq!(said(&mut ledger, now), ["started", "1 a"]);
        ledger.wrote(&held, vec![line("b")]);
        assert_eq!(ledger.due(now), Some(now + PAUSE));
        assert_eq!(said(&mut ledger, now), [""; 0]);
        ledger.ended(&held, End::HandBack);
        assert_eq!(said(&mut ledger, now), ["2 b", "hand_back"]);
    }

    #[test]
    fn a_full_batch_waits_for_nothing() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        ledger.wrote(&held, vec![line("a")]);
        said(&mut ledger, now);
        ledger.wrote(&held, vec![line("b"); BATCH_LINES_MAX - 1]);
        assert_eq!(said(&mut ledger, now).len(), 0);
        ledger.wrote(&held, vec![line("c")]);
        assert_eq!(said(&mut ledger, now).len(), 1);
        let long = "d".repeat(BATCH_BYTES_MAX);
        ledger.wrote(&held, vec![line(&long)]);
        assert_eq!(said(&mut ledger, now).len(), 1);
    }

    #[test]
    fn words_of_an_older_token_count_for_nothing() {
        let (old, new, now) = (held(1, 1), held(1, 2), Instant::now());
        let mut ledger = running(&old);
        assert_eq!(ledger.standing(&old), Standing::Current);
        assert_eq!(ledger.standing(&new), Standing::Outdated);
        assert_eq!(ledger.standing(&held(2, 1)), Standing::Unknown);
        ledger.take(new.clone());
        ledger.started(&old);
        ledger.wrote(&old, vec![line("a")]);
        ledger.ended(&old, End::HandBack);
        assert_eq!(ledger.due(now), None);
        assert_eq!(ledger.active(), [new]);
    }

    #[test]
    fn commands_take_turns() {
        let (one, two, now) = (held(1, 1), held(2, 1), Instant::now());
        let mut ledger = running(&one);
        ledger.take(two.clone());
        ledger.started(&two);
        ledger.wrote(&one, vec![line("a"); 2 * BATCH_LINES_MAX]);
        ledger.wrote(&two, vec![line("b")]);
        let whose: Vec<_> = std::iter::from_fn(|| ledger.word(now))
            .map(|word| match word {
                ToHost::Started { held } | ToHost::Logs { held, .. } => held == one,
                _ => panic!("{word:?}"),
            })
            .collect();
        assert_eq!(whose, [true, false, true, false, true]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<usize>),
        Say,
        Answer(u64),
        /// A word goes down with its connection.
        Lose,
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = prop_oneof![9 => 0..40_usize, 1 => Just(LINE_BYTES_MAX)];
        prop_oneof![
            prop::collection::vec(size, 0..40).prop_map(Step::Write),
            Just(Step::Say),
            (0..500_u64).prop_map(Step::Answer),
            Just(Step::Lose),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The host stores the lines that follow what it has, as the real one does, and in the end
        /// has every line once, in order; no message was too large, and no answer freed too much.
        #[test]
        fn every_line_arrives_once_and_in_order(steps in prop::collection::vec(step(), 0..40)) {
            let held = held(1, 1);
            let mut now = Instant::now();
            let mut ledger = running(&held);
            let (mut written, mut stored) = (Vec::new(), Vec::new());
            let (mut owed, mut freed) = (0, 0);
            let hear = |word: ToHost, stored: &mut Vec<String>| {
                assert!(serde_json::to_string(&word).unwrap().len() < MESSAGE_BYTES_MAX);
                if let ToHost::Logs { first, lines, .. } = word {
                    assert!(first <= stored.len() as u64 + 1, "a gap before {first}");
                    let known = stored.len() + 1 - first as usize;
                    stored.extend(lines.into_iter().skip(known).map(|line| line.text));
                }
            };
            for step in steps {
                match step {
                    Step::Write(sizes) => for size in sizes {
                        let text = format!("{}{}", written.len(), "\u{1}".repeat(size));
                        owed += line(&text).weight;
                        ledger.wrote(&held, vec![line(&text)]);
                        written.push(text);
                    },
                    Step::Say => if let Some(word) = ledger.word(now) {
                        hear(word, &mut stored);
                    },
                    Step::Answer(through) => {
                        let through = through.min(stored.len() as u64);
                        freed += ledger.logged(&held.command_id, through);
                    }
                    Step::Lose => {
                        ledger.word(now);
                        ledger.rewind();
                    }
                }
                now += PAUSE;
            }
            while let Some(word) = ledger.word(now) {
                hear(word, &mut stored);
                now += PAUSE;
            }
            prop_assert_eq!(&stored, &written);
            freed += ledger.logged(&held.command_id, u64::MAX);
            prop_assert_eq!(freed, owed);
        }
    }
}
