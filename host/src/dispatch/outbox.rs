//! What waits to be sent to one worker.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::protocol::{Held, ToWorker};

/// How many commands and words may wait for a worker to read them.
pub(super) const COMMANDS_MAX: usize = 64;
/// How many answers to what it says may wait beside them: one heartbeat can bring about one for
/// each command that it names.
const ANSWERS_MAX: usize = 4096;

/// The way to an [`Outbox`].
#[derive(Debug)]
pub(super) struct Slot(mpsc::Sender<Box<ToWorker>>);

/// The messages for one connection, in order.
#[derive(Debug)]
pub struct Outbox {
    messages: mpsc::Receiver<Box<ToWorker>>,
    /// What was taken and could not be sent.
    returned: VecDeque<ToWorker>,
}

/// An empty outbox and the way to it. Messages are boxed, so that an idle worker's costs little.
pub(super) fn outbox() -> (Slot, Outbox) {
    let (sender, messages) = mpsc::channel(COMMANDS_MAX + ANSWERS_MAX);
    (Slot(sender), Outbox { messages, returned: VecDeque::new() })
}

impl Slot {
    /// For how many more commands there is room.
    pub(super) fn room(&self) -> usize {
        COMMANDS_MAX.saturating_sub(self.0.max_capacity() - self.0.capacity())
    }

    /// Puts a message in, if there is room and the outbox is open; says whether it did.
    pub(super) fn put(&self, message: ToWorker) -> bool {
        let fits = held(&message).is_none() || self.room() > 0;
        fits && self.0.try_send(Box::new(message)).is_ok()
    }
}

impl Outbox {
    /// The next message; none when a later connection of the worker took over, or it was sent away.
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ToWorker> {
        match self.returned.pop_front() {
            Some(message) => Some(message),
            None => self.messages.recv().await.map(|message| *message),
        }
    }

    /// The messages that wait, beginning with `first`, up to the first command: so that the whole
    /// is not much larger than the largest message.
    pub(super) fn batch(&mut self, first: ToWorker) -> Vec<ToWorker> {
        let mut batch = vec![first];
        while batch.last().is_some_and(|last| held(last).is_none()) {
            let Some(next) = self.next_if_any() else { break };
            batch.push(next);
        }
        batch
    }

    /// Takes back what could not be sent; it comes first again.
    pub(super) fn put_back(&mut self, batch: Vec<ToWorker>) {
        for message in batch.into_iter().rev() {
            self.returned.push_front(message);
        }
    }

    /// Closes the outbox: the commands in it, which nobody has seen.
    pub(super) fn unsent(mut self) -> Vec<Held> {
        self.messages.close();
        let messages = std::iter::from_fn(|| self.next_if_any());
        messages.filter_map(|message| held(&message).cloned()).collect()
    }

    fn next_if_any(&mut self) -> Option<ToWorker> {
        let waiting = || self.messages.try_recv().ok().map(|message| *message);
        self.returned.pop_front().or_else(waiting)
    }
}

/// The command that a message hands over.
fn held(message: &ToWorker) -> Option<&Held> {
    match message {
        ToWorker::Run { held, .. } | ToWorker::Control { held, .. } => Some(held),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::model::command::{Control, Token};

    fn word(n: u8) -> ToWorker {
        let held = Held { command_id: Clock.command_id(), token: Token::mint([n; 32]) };
        ToWorker::Control { held, control: Control::HealthCheck }
    }

    fn cancel() -> ToWorker {
        ToWorker::Cancel { command_id: Clock.command_id() }
    }

    #[test]
    fn answers_have_room_when_commands_have_none() {
        let (slot, outbox) = outbox();
        for n in 0..COMMANDS_MAX {
            assert_eq!(slot.room(), COMMANDS_MAX - n);
            assert!(slot.put(word(0)));
        }
        assert!(!slot.put(word(0)));
        for _ in 0..ANSWERS_MAX {
            assert!(slot.put(cancel()));
        }
        assert!(!slot.put(cancel()), "even answers are bounded");
        assert_eq!(outbox.unsent().len(), COMMANDS_MAX);
        assert!(!slot.put(cancel()), "the outbox is closed");
    }

    #[test]
    fn a_batch_ends_with_its_first_command_and_can_be_put_back() {
        let (slot, mut outbox) = outbox();
        let said = [cancel(), word(1), cancel(), word(2)];
        for message in said.clone() {
            assert!(slot.put(message));
        }
        for _ in 0..2 {
            let first = outbox.next_if_any().unwrap();
            let batch = outbox.batch(first);
            assert_eq!(batch, said[..2]);
            outbox.put_back(batch);
        }
        assert_eq!(outbox.unsent().len(), 2);
    }
}
