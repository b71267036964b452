//! How what workers and their runs say is kept: without the secrets that this host knows, then within
//! limits ([`bounds`]), and heard at once by whoever listens here.
//!
//! It is the store's own so that nothing a worker says can get past it, whichever way it came.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::Store;
use super::signals::{Listener, Signals};
use crate::config::LogLimits;
use crate::model::bounds::{self, LINE_BYTES_MAX};
use crate::model::id::{CommandId, RunId};
use crate::model::redaction::{Redaction, Trail};
use crate::model::routing::Offer;
use crate::model::run::{LogLine, Stream};

/// Of how many commands it is kept what their programs wrote last.
const STREAMS_MAX: usize = 4096;

/// The present rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    redaction: Arc<RwLock<Arc<Redaction>>>,
    pub(super) limits: LogLimits,
    pub(super) signals: Signals,
    streams: Arc<Mutex<HashMap<CommandId, Streams>>>,
}

/// What a command's program wrote last.
#[derive(Debug)]
struct Streams {
    /// The number of the line that follows.
    next: u64,
    stdout: Trail,
    stderr: Trail,
}

impl Record {
    /// What takes the secrets out, at present.
    pub(super) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A text as it is kept as an error.
    pub(super) fn error(&self, text: String) -> String {
        bounds::error(self.redaction().text(text).into_owned())
    }

    /// The lines of a command as they are kept, of which the first is the `first`th. A secret may
    /// begin in one and end in another.
    pub(super) fn lines(
        &self,
        command: &CommandId,
        first: u64,
        mut lines: Vec<LogLine>,
    ) -> Vec<LogLine> {
        let redaction = self.redaction();
        let mut streams = self.take(command, first);
        let mut redact = |trail: &mut Trail, is_of: fn(Stream) -> bool| {
            let own = lines.iter_mut().filter(|line| is_of(line.stream));
            let mut texts: Vec<&mut String> = own.map(|line| &mut line.text).collect();
            redaction.lines(trail, &mut texts, was_cut);
        };
        redact(&mut streams.stdout, |stream| stream == Stream::Stdout);
        redact(&mut streams.stderr, |stream| stream != Stream::Stdout);
        streams.next = first.saturating_add(lines.len() as u64);
        self.put(command, streams);
        lines.into_iter().map(kept).collect()
    }

    /// Forgets a command's streams: it has ended, or goes to another worker.
    pub(super) fn forget(&self, command: &CommandId) {
        self.streams().remove(command);
    }

    /// What was before a line of this number. What is said again begins anew.
    fn take(&self, command: &CommandId, first: u64) -> Streams {
        let known = self.streams().remove(command).filter(|streams| streams.next == first);
        known.unwrap_or_else(|| Streams {
            next: first,
            stdout: Trail::default(),
            stderr: Trail::default(),
        })
    }

    fn put(&self, command: &CommandId, streams: Streams) {
        let mut all = self.streams();
        // Nobody has so many at work; these are of workers that were lost.
        if all.len() >= STREAMS_MAX {
            all.clear();
        }
        all.insert(command.clone(), streams);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<CommandId, Streams>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a worker cut the line here: it cuts between characters.
fn was_cut(text: &str) -> bool {
    text.len() + 3 >= LINE_BYTES_MAX
}

/// The line as it is kept. Only the host speaks as the host.
fn kept(line: LogLine) -> LogLine {
    let LogLine { at, stream, text } = line;
    let stream = if stream == Stream::Host { Stream::Stderr } else { stream };
    LogLine { at, stream, text: bounds::line(text) }
}

impl Store {
    /// The same store with these limits.
    #[must_use]
    pub fn with_log_limits(mut self, limits: LogLimits) -> Self {
        self.record.limits = limits;
        self
    }

    /// From now on, takes out of what runs say what this one knows.
    pub fn redact(&self, redaction: Redaction) {
        let present = &self.record.redaction;
        *present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(redaction);
    }

    /// What a worker offers, as it is kept.
    pub fn kept_offer(&self, offer: Offer) -> Offer {
        let redaction = self.record.redaction();
        let clean = |text: String| redaction.text(text).into_owned();
        let words = |words: BTreeSet<String>| words.into_iter().map(clean).collect();
        bounds::offer(Offer {
            capabilities: words(offer.capabilities),
            tools: words(offer.tools),
            labels: offer.labels.into_iter().map(|(key, of)| (clean(key), clean(of))).collect(),
            cluster: offer.cluster.map(clean),
            region: offer.region.map(clean),
            platform: offer.platform.map(clean),
            enforces: offer.enforces,
        })
    }

    /// What people call a worker, as it is kept.
    pub fn kept_name(&self, name: &str) -> String {
        bounds::name(&self.record.redaction().text(name))
    }

    /// Hears of what is stored of a run by this process.
    pub fn listen(&self, run: &RunId) -> Listener {
        self.record.signals.listen(run)
    }
}
