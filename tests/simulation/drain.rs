//! The end of a life: nothing fails any more, workers are healthy, and everything has to end.

use std::time::Duration;

use hillock::store::commands::Decision;

use super::audit;
use super::replica::Memory;
use super::worker::Worker;
use super::world::World;

/// How many rounds it may take.
const ROUNDS: u32 = 200;
/// How long a round takes, at first: long enough for a retry to become due. Then there may be words
/// left to workers that are gone, which are kept for a day.
const ROUND: Duration = Duration::from_secs(60);
const ROUNDS_AT_FIRST: u32 = 40;
const LATER_ROUND: Duration = Duration::from_secs(60 * 60);

impl World {
    /// Brings everything to its end, and looks whether it came there.
    pub(super) async fn drain(&mut self) {
        self.healthy = true;
        self.note("from here on, nothing fails".to_owned());
        for replica in &mut self.replicas {
            replica.memory = Memory::default();
            replica.come_right();
        }
        for place in 0..self.workers.len() {
            self.workers[place] = Worker::healthy(self.truth, &mut self.dice);
        }
        for round in 0.. {
            if self.is_settled().await {
                break;
            }
            if round > ROUNDS {
                let open = audit::open(&mut self.eye).await;
                self.fail(&format!("something waits for ever: {open:#?}"));
            }
            self.round().await;
            let short = round < ROUNDS_AT_FIRST;
            self.truth = self.truth + if short { ROUND } else { LATER_ROUND };
        }
        self.audit().await;
        let accepted: Vec<String> = self.senders.accepted().map(|id| id.to_string()).collect();
        let gone = &self.book.gone;
        let kept: Vec<String> =
            accepted.into_iter().filter(|id| !gone.events.contains(id)).collect();
        self.ledger.removed = (gone.events.len() + gone.runs.len()) as u64;
        self.ledger.runs = (self.book.runs.len() + gone.runs.len()) as u64;
        self.ledger.attempts = self.book.attempts() + gone.attempts;
        self.ledger.lost = audit::missing(&mut self.eye, &kept).await;
        let lost = self.ledger.lost;
        self.must(lost == 0, || format!("{lost} accepted events are lost"));
    }

    async fn is_settled(&mut self) -> bool {
        self.book.is_settled() && audit::open(&mut self.eye).await.is_empty()
    }

    /// Everybody does all that there is to do.
    async fn round(&mut self) {
        for replica in 0..self.replicas.len() {
            self.look_at_notices(replica).await;
            while !self.replicas[replica].memory.notices.is_empty() {
                self.settle_notice(replica).await;
            }
            self.look_into_inbox(replica).await;
            while !self.replicas[replica].memory.inbox.is_empty() {
                self.activate(replica).await;
            }
            self.look_at_gatherings(replica).await;
            while !self.replicas[replica].memory.gatherings.is_empty() {
                self.flush(replica).await;
            }
        }
        while !self.book.blocked.is_empty() {
            self.decide(Some(Decision::Approve)).await;
        }
        for replica in 0..self.replicas.len() {
            self.hand_out(replica).await;
            while !self.replicas[replica].memory.outbox.is_empty() {
                self.deliver(replica).await;
            }
        }
        let replica = self.any_replica();
        self.keep_time(replica).await;
        self.release_leases(replica).await;
        self.recover(replica).await;
        self.reconcile(replica).await;
        self.sweep(replica).await;
        for place in 0..self.workers.len() {
            self.go_on(place).await;
            while self.workers[place].is_busy() {
                self.go_on(place).await;
            }
        }
    }
}
