//! What the link tells the worker's loop.

use tokio::sync::mpsc;

use crate::dispatch::protocol::{ToHost, ToWorker};

/// What becomes of the link.
#[derive(Debug)]
pub(super) enum Event {
    /// A connection is open. Dropping the sender says goodbye, for good.
    Opened(mpsc::Sender<ToHost>),
    /// The host said something.
    Heard(ToWorker),
    /// The connection is gone; another will come.
    Lost,
}

/// Where one connection's messages go.
#[derive(Debug)]
pub(super) struct EventSender {
    events: mpsc::Sender<Event>,
    /// Whether the host's welcome was among them.
    pub(super) welcomed: bool,
}

impl EventSender {
    /// An ear that has heard nothing yet.
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events, welcomed: false }
    }

    /// Passes a message on, when there is room for it.
    pub(super) async fn hear(&mut self, message: ToWorker) {
        self.welcomed |= matches!(message, ToWorker::Welcome { .. });
        // Nobody listens any more when the worker is leaving.
        let _ = self.events.send(Event::Heard(message)).await;
    }
}
