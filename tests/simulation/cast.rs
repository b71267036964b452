//! Who acts next, and how often each does.

use super::world::{WORKERS, World};

/// What happens in a step.
#[derive(Clone, Copy, Debug)]
enum Act {
    Post,
    LookIntoInbox,
    Activate,
    LookAtGatherings,
    Flush,
    LookAtSchedules,
    ClaimSlots,
    LookAtNotices,
    SettleNotice,
    HandOut,
    Deliver,
    Attend,
    PutRight,
    Crash,
    Work,
    Ask,
    Administer,
    Pry,
}

/// How often, among all of them.
const WEIGHTS: [(Act, u64); 18] = [
    (Act::Post, 70),
    (Act::LookIntoInbox, 12),
    (Act::Activate, 90),
    (Act::LookAtGatherings, 12),
    (Act::Flush, 12),
    (Act::LookAtSchedules, 10),
    (Act::ClaimSlots, 14),
    (Act::LookAtNotices, 8),
    (Act::SettleNotice, 20),
    (Act::HandOut, 60),
    (Act::Deliver, 110),
    (Act::Attend, 16),
    (Act::PutRight, 16),
    (Act::Crash, 2),
    (Act::Work, 480),
    (Act::Ask, 60),
    (Act::Administer, 6),
    (Act::Pry, 12),
];

impl World {
    /// Somebody does something.
    pub(super) async fn step(&mut self) {
        self.pass();
        let replica = self.any_replica();
        match self.next_act() {
            Act::Post => self.post().await,
            Act::LookIntoInbox => self.look_into_inbox(replica).await,
            Act::Activate => self.activate(replica).await,
            Act::LookAtGatherings => self.look_at_gatherings(replica).await,
            Act::Flush => self.flush(replica).await,
            Act::LookAtSchedules => self.look_at_schedules(replica).await,
            Act::ClaimSlots => self.claim_slots(replica).await,
            Act::LookAtNotices => self.look_at_notices(replica).await,
            Act::SettleNotice => self.settle_notice(replica).await,
            Act::HandOut => self.hand_out(replica).await,
            Act::Deliver => self.deliver(replica).await,
            Act::Attend => self.attend(replica).await,
            Act::PutRight => self.put_right(replica).await,
            Act::Crash => self.crash(replica),
            Act::Work => {
                let place = self.dice.place(WORKERS).unwrap();
                self.work(place).await;
            }
            Act::Ask => self.ask().await,
            Act::Administer => self.administer().await,
            Act::Pry => self.pry().await,
        }
    }

    fn next_act(&mut self) -> Act {
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.dice.between(0, all - 1);
        for (act, weight) in WEIGHTS {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return act,
            }
        }
        Act::Pry
    }
}
