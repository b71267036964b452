//! What is said of a command in numbered batches and answered by number: its lines, its events.
//! Pure bookkeeping. Nothing is said twice before [`Backlog::rewind`], and nothing that was not said
//! is forgotten.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// The most items in one message.
pub(super) const BATCH_ITEMS_MAX: usize = 256;
/// The most text in one message, in bytes of JSON. One item may be larger; it goes alone.
pub(super) const BATCH_BYTES_MAX: usize = 128 * 1024;
/// How long items that don't fill a message wait for more after the last message.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// Something, and what it takes up in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Weighed<T> {
    /// What it is.
    pub(super) item: T,
    /// Its size as JSON, in bytes.
    pub(super) weight: usize,
}

impl<T: Serialize> From<T> for Weighed<T> {
    fn from(item: T) -> Self {
        let weight = weight(&item);
        Self { item, weight }
    }
}

/// The size as JSON, in bytes.
pub(super) fn weight(item: &impl Serialize) -> usize {
    let mut tally = Tally(0);
    // A tally takes every byte, and nothing here has a key that JSON could refuse.
    let _ = serde_json::to_writer(&mut tally, item);
    tally.0
}

/// Counts what is written to it.
struct Tally(usize);

impl io::Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The items not answered yet; the first `said` of them are on their way.
#[derive(Debug)]
pub(super) struct Backlog<T> {
    items: VecDeque<Weighed<T>>,
    said: usize,
    unsaid_bytes: usize,
    /// The number of the first of `items`, counted from 1.
    first: u64,
    quiet_until: Option<Instant>,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), said: 0, unsaid_bytes: 0, first: 1, quiet_until: None }
    }
}

impl<T: Clone> Backlog<T> {
    /// Adds items at the end.
    pub(super) fn extend(&mut self, items: Vec<Weighed<T>>) {
        self.unsaid_bytes += items.iter().map(|item| item.weight).sum::<usize>();
        self.items.extend(items);
    }

    /// Forgets the items up to this number, as far as they were said; gives their weight.
    pub(super) fn answered(&mut self, through: u64) -> usize {
        let answered = through.saturating_add(1).saturating_sub(self.first);
        let answered = usize::try_from(answered).unwrap_or(usize::MAX).min(self.said);
        self.said -= answered;
        self.first += answered as u64;
        self.items.drain(..answered).map(|item| item.weight).sum()
    }

    /// Takes back what was said and not answered.
    pub(super) fn rewind(&mut self) {
        self.said = 0;
        self.unsaid_bytes = self.items.iter().map(|item| item.weight).sum();
        self.quiet_until = None;
    }

    /// Whether everything is said.
    pub(super) fn is_said(&self) -> bool {
        self.said == self.items.len()
    }

    /// From when on there is a batch to say; what is urgent waits for no more to come.
    pub(super) fn due(&self, now: Instant, urgent: bool) -> Option<Instant> {
        let unsaid = self.items.len() - self.said;
        let urgent = urgent || is_full(unsaid, self.unsaid_bytes);
        (unsaid > 0).then(|| self.quiet_until.filter(|_| !urgent).unwrap_or(now))
    }

    /// The next items, with the number of the first.
    pub(super) fn batch(&mut self, now: Instant) -> (u64, Vec<T>) {
        let first = self.first + self.said as u64;
        let mut items = Vec::new();
        let mut bytes = 0;
        for next in self.items.range(self.said..) {
            if !items.is_empty() && is_full(items.len(), bytes + next.weight) {
                break;
            }
            bytes += next.weight;
            items.push(next.item.clone());
        }
        self.said += items.len();
        self.unsaid_bytes -= bytes;
        self.quiet_until = Some(now + PAUSE);
        (first, items)
    }
}

fn is_full(items: usize, bytes: usize) -> bool {
    items >= BATCH_ITEMS_MAX || bytes >= BATCH_BYTES_MAX
}
