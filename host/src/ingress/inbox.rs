//! The way from ingress to activation: accepted events, handed over in memory.
//!
//! It is a hint and may lose: when it is full, the event is found in the store a little later.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::model::envelope::Event;

/// How many events may be on the way; their bodies are held in memory.
const ON_THE_WAY_MAX: usize = 256;

/// Where ingress puts events.
#[derive(Clone, Debug)]
pub struct InboxSender(mpsc::Sender<Arc<Event>>);

/// Where activation takes them.
#[derive(Debug)]
pub struct InboxReceiver(mpsc::Receiver<Arc<Event>>);

/// A new channel.
pub fn channel() -> (InboxSender, InboxReceiver) {
    let (sender, receiver) = mpsc::channel(ON_THE_WAY_MAX);
    (InboxSender(sender), InboxReceiver(receiver))
}

impl InboxSender {
    /// Hands over an event that is committed.
    pub fn put(&self, event: Arc<Event>) {
        // Full, or activation has stopped: the store has it.
        let _ = self.0.try_send(event);
    }
}

impl InboxReceiver {
    /// The next event; none when nothing can come any more.
    pub async fn take(&mut self) -> Option<Arc<Event>> {
        self.0.recv().await
    }
}
