//! What a worker owes the host: its commands, the lines, events and endings that the host has not
//! answered yet. Pure bookkeeping; it runs nothing and sends nothing.
//!
//! ```text
//! command taken ───► started ─► lines, events ─► end        as it happens here
//!      │                │         │      │        │
//!      ▼                ▼         ▼      ▼        ▼
//! `acknowledged`   `started`   `logs` `events` `finished`   said once on every connection, in
//!                                 │      │        │         this order
//!                             `logged` `noted` `settled`    answered: forgotten
//! ```
//! A new connection takes back all that was said and not answered ([`Ledger::rewind`]), so that it
//! is said again, under the same numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use tokio::time::Instant;

use super::backlog::{Backlog, Weighed};
use crate::dispatch::protocol::{Held, ToHost};
use crate::model::id::{CommandId, RunId};
use crate::model::run::{Ending, LogLine, RunEvent};

/// How many commands are named that could not be delivered.
const OWED_NAMED_MAX: usize = 20;

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

    /// Takes a command, which may be a run's, in place of one with an older token.
    pub(super) fn take(&mut self, held: Held, run_id: Option<RunId>) {
        self.entries.insert(held.command_id.clone(), Entry::new(held, run_id));
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

    /// What is owed of each command.
    pub(super) fn owed(&self) -> Owed {
        Owed(self.entries.values().map(Entry::owed).collect())
    }

    /// Notes that the worker does what the command asks. Like the next three, it ignores a command
    /// that is not held under this token.
    pub(super) fn acknowledged(&mut self, held: &Held) {
        if let Some(entry) = self.current(held) {
            entry.acknowledged.happened = true;
        }
    }

    /// Notes that the command's program runs.
    pub(super) fn started(&mut self, held: &Held) {
        if let Some(entry) = self.current(held) {
            entry.started.happened = true;
        }
    }

    /// Notes what the program wrote.
    pub(super) fn wrote(&mut self, held: &Held, lines: Vec<Weighed<LogLine>>) {
        if let Some(entry) = self.current(held) {
            entry.lines.extend(lines);
        }
    }

    /// Notes what the program told.
    pub(super) fn told(&mut self, held: &Held, events: Vec<Weighed<RunEvent>>) {
        if let Some(entry) = self.current(held) {
            entry.events.extend(events);
        }
    }

    /// Notes the end. There is one: a later one counts for nothing.
    pub(super) fn ended(&mut self, held: &Held, end: End) {
        if let Some(entry) = self.current(held) {
            entry.end.get_or_insert(end);
        }
    }

    /// Forgets the lines that the host has stored; gives their weight.
    pub(super) fn logged(&mut self, command_id: &CommandId, through: u64) -> usize {
        self.entries.get_mut(command_id).map_or(0, |entry| entry.lines.answered(through))
    }

    /// Forgets the events that the host has stored; gives their weight.
    pub(super) fn noted(&mut self, command_id: &CommandId, through: u64) -> usize {
        self.entries.get_mut(command_id).map_or(0, |entry| entry.events.answered(through))
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

/// What a worker could not deliver, a command each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed(Vec<String>);

impl Owed {
    /// Whether that is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.0.get(..OWED_NAMED_MAX).unwrap_or(&self.0);
        f.write_str(&named.join(", "))?;
        match self.0.len() - named.len() {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

#[derive(Debug)]
struct Entry {
    held: Held,
    /// None for a word to the worker.
    run_id: Option<RunId>,
    acknowledged: Once,
    started: Once,
    lines: Backlog<LogLine>,
    events: Backlog<RunEvent>,
    end: Option<End>,
    end_said: bool,
}

/// Something that is said once on every connection, when it has happened.
#[derive(Debug, Default)]
struct Once {
    happened: bool,
    said: bool,
}

impl Once {
    fn is_due(&self) -> bool {
        self.happened && !self.said
    }

    /// Whether to say it now.
    fn take(&mut self) -> bool {
        let due = self.is_due();
        self.said |= due;
        due
    }
}

impl Entry {
    fn new(held: Held, run_id: Option<RunId>) -> Self {
        Self {
            held,
            run_id,
            acknowledged: Once::default(),
            started: Once::default(),
            lines: Backlog::default(),
            events: Backlog::default(),
            end: None,
            end_said: false,
        }
    }

    fn owed(&self) -> String {
        let what = match &self.end {
            Some(End::Finished(ending)) => ending.status().as_str(),
            Some(End::HandBack) => "to be handed back",
            None => "not ended",
        };
        let command = &self.held.command_id;
        match &self.run_id {
            Some(run) => format!("{run} ({command}): {what}"),
            None => format!("{command}: {what}"),
        }
    }

    fn rewind(&mut self) {
        self.acknowledged.said = false;
        self.started.said = false;
        self.lines.rewind();
        self.events.rewind();
        self.end_said = false;
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due(now).is_some_and(|due| due <= now)
    }

    fn due(&self, now: Instant) -> Option<Instant> {
        if self.acknowledged.is_due() || self.started.is_due() {
            return Some(now);
        }
        let urgent = self.end.is_some();
        let batches = [self.events.due(now, urgent), self.lines.due(now, urgent)];
        let end = (urgent && !self.end_said).then_some(now);
        batches.into_iter().flatten().min().or(end)
    }

    fn word(&mut self, now: Instant) -> Option<ToHost> {
        let held = self.held.clone();
        if self.acknowledged.take() {
            return Some(ToHost::Acknowledged { held });
        }
        if self.started.take() {
            return Some(ToHost::Started { held });
        }
        let urgent = self.end.is_some();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        // Events are few, and somebody may have to answer one.
        if is_due(self.events.due(now, urgent)) {
            let (first, events) = self.events.batch(now);
            return Some(ToHost::Events { held, first, events });
        }
        if is_due(self.lines.due(now, urgent)) {
            let (first, lines) = self.lines.batch(now);
            return Some(ToHost::Logs { held, first, lines });
        }
        self.said_end(held)
    }

    fn said_end(&mut self, held: Held) -> Option<ToHost> {
        let all_said = self.events.is_said() && self.lines.is_said();
        let end = self.end.as_ref().filter(|_| all_said && !self.end_said)?;
        self.end_said = true;
        Some(match end {
            End::Finished(ending) => ToHost::Finished { held, ending: ending.clone() },
            End::HandBack => ToHost::HandBack { held },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dispatch::protocol::MESSAGE_BYTES_MAX;
    use crate::model::command::Token;
    use crate::model::run::Stream;
    use crate::model::time::Time;
    use crate::worker::backlog::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX, PAUSE};
    use crate::worker::lines::LINE_BYTES_MAX;
    use crate::worker::output_event::EVENT_BYTES_MAX;

    fn held(command: u8, token: u8) -> Held {
        let at = Time::from_millis(1_000).unwrap();
        Held { command_id: CommandId::mint(at, [command; 10]), token: Token::mint([token; 32]) }
    }

    fn line(text: &str) -> Weighed<LogLine> {
        let at = Time::from_millis(0).unwrap();
        LogLine { at, stream: Stream::Stdout, text: text.to_owned() }.into()
    }

    fn event(kind: &str) -> Weighed<RunEvent> {
        let at = Time::from_millis(0).unwrap();
        let data = serde_json::json!({ "type": kind });
        RunEvent { at, kind: kind.parse().unwrap(), data }.into()
    }

    fn running(held: &Held) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.take(held.clone(), None);
        ledger.started(held);
        ledger
    }

    /// What the ledger says at `now`, in short.
    fn said(ledger: &mut Ledger, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| ledger.word(now)).map(|word| short(&word)).collect()
    }

    fn short(word: &ToHost) -> String {
        match word {
            ToHost::Acknowledged { .. } => "acknowledged".into(),
            ToHost::Started { .. } => "started".into(),
            ToHost::Events { first, events, .. } => {
                let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
                format!("events {first} {}", kinds.join(" "))
            }
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
    fn a_command_is_acknowledged_first_and_on_every_connection() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = Ledger::default();
        ledger.take(held.clone(), None);
        assert_eq!(ledger.due(now), None);
        ledger.acknowledged(&held);
        ledger.started(&held);
        assert_eq!(said(&mut ledger, now), ["acknowledged", "started"]);
        ledger.rewind();
        assert_eq!(said(&mut ledger, now), ["acknowledged", "started"]);
    }

    #[test]
    fn events_have_numbers_of_their_own_and_go_before_lines() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        ledger.wrote(&held, vec![line("a")]);
        ledger.told(&held, vec![event("x"), event("y")]);
        assert_eq!(said(&mut ledger, now), ["started", "events 1 x y", "1 a"]);
        assert_eq!(ledger.noted(&held.command_id, 1), event("x").weight);
        ledger.told(&held, vec![event("z")]);
        assert_eq!(said(&mut ledger, now), [""; 0]);
        ledger.ended(&held, End::Finished(Ending::Completed));
        assert_eq!(said(&mut ledger, now), ["events 3 z", "completed"]);
        ledger.rewind();
        assert_eq!(said(&mut ledger, now), ["started", "events 2 y z", "1 a", "completed"]);
    }

    #[test]
    fn what_is_owed_is_named() {
        let (one, word, now) = (held(1, 1), held(2, 1), Instant::now());
        let run = RunId::mint(Time::from_millis(1_000).unwrap(), [7; 10]);
        let mut ledger = Ledger::default();
        assert!(ledger.owed().is_empty());
        ledger.take(one.clone(), Some(run.clone()));
        ledger.take(word.clone(), None);
        ledger.ended(&one, End::Finished(Ending::Completed));
        said(&mut ledger, now);
        let (one, word) = (&one.command_id, &word.command_id);
        assert_eq!(
            ledger.owed().to_string(),
            format!("{run} ({one}): completed, {word}: not ended")
        );
        for command in 3..100 {
            ledger.take(held(command, 1), None);
        }
        assert!(ledger.owed().to_string().ends_with(": not ended, and 79 more"));
    }

    #[test]
    fn there_is_one_end() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        ledger.ended(&held, End::HandBack);
        ledger.ended(&held, End::Finished(Ending::Completed));
        assert_eq!(said(&mut ledger, now), ["started", "hand_back"]);
    }

    #[test]
    fn the_largest_event_fits_a_message() {
        let (held, now) = (held(1, 1), Instant::now());
        let mut ledger = running(&held);
        let mut large = event("x").item;
        large.data["text"] = "\u{1}".repeat(EVENT_BYTES_MAX / 6).into();
        ledger.told(&held, vec![large.into(); 9]);
        while let Some(word) = ledger.word(now) {
            assert!(serde_json::to_string(&word).unwrap().len() < MESSAGE_BYTES_MAX / 2);
        }
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
        ledger.wrote(&held, vec![line("b"); BATCH_ITEMS_MAX - 1]);
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
        ledger.take(new.clone(), None);
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
        ledger.take(two.clone(), None);
        ledger.started(&two);
        ledger.wrote(&one, vec![line("a"); 2 * BATCH_ITEMS_MAX]);
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
