//! What waits at present, and who could take it: read from the store when somebody scrapes.

use std::time::Duration;

use super::book::{Book, Gauges};
use crate::model::definition::Priority;
use crate::model::session::SessionState;
use crate::model::worker::{AdminState, Approval, Health};

/// What the store says at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Commands of runs that wait, by their priority.
    pub pending: Vec<(Priority, u64)>,
    /// How long the one that could go out first has waited.
    pub oldest_pending: Duration,
    /// Commands that somebody has to approve.
    pub blocked: u64,
    /// Commands in workers' hands.
    pub active: u64,
    /// Pauses that are in force.
    pub pauses: u64,
    /// Events that wait for triggers to decide.
    pub inbox: u64,
    /// How long the first of them has waited.
    pub oldest_event: Duration,
    /// Fires that wait for their trigger's fire limit.
    pub deferred: u64,
    /// By how long the job that should have fired first is overdue.
    pub overdue: Duration,
    /// Sessions that have been starting or stopping for too long, by their state.
    pub stuck: Vec<(SessionState, u64)>,
    /// Workers.
    pub workers: Vec<Workers>,
}

/// Workers that fare alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How they are.
    pub health: Health,
    /// Whether somebody let them in.
    pub approval: Approval,
    /// What is wanted of them.
    pub state: AdminState,
    /// How many they are.
    pub count: u64,
}

/// What waits at present.
#[derive(Debug)]
pub struct Queue {
    pending: Gauges<1>,
    oldest_pending: Gauges<0>,
    blocked: Gauges<0>,
    active: Gauges<0>,
    pauses: Gauges<0>,
    inbox: Gauges<0>,
    oldest_event: Gauges<0>,
    deferred: Gauges<0>,
    overdue: Gauges<0>,
    stuck: Gauges<1>,
    workers: Gauges<3>,
}

impl Queue {
    pub(super) fn new(book: &mut Book) -> Self {
        Self {
            pending: book.gauges(
                "hillock_queue_pending_commands",
                ["priority"],
                "Commands that wait for a worker, 100 000 of each queue at most; store-wide, every \
                 replica tells the same",
            ),
            oldest_pending: book.gauges_of_seconds(
                "hillock_queue_oldest_pending_age",
                [],
                "How long the oldest command that is due has waited for a worker; store-wide, every \
                 replica tells the same",
            ),
            blocked: book.gauges(
                "hillock_queue_blocked_commands",
                [],
                "Commands that somebody has to approve; store-wide, every replica tells the same",
            ),
            active: book.gauges(
                "hillock_queue_active_commands",
                [],
                "Commands in workers' hands; store-wide, every replica tells the same",
            ),
            pauses: book.gauges(
                "hillock_queue_pauses",
                [],
                "Pauses that are in force, of workspaces or the whole host: what they cover waits; \
                 store-wide, every replica tells the same",
            ),
            inbox: book.gauges(
                "hillock_inbox_waiting_events",
                [],
                "Events that triggers have not decided on, 10 000 at most; store-wide, every replica \
                 tells the same",
            ),
            oldest_event: book.gauges_of_seconds(
                "hillock_inbox_oldest_event_age",
                [],
                "How long the oldest of them has waited; store-wide, every replica tells the same",
            ),
            deferred: book.gauges(
                "hillock_deferred_fires",
                [],
                "Fires of triggers that wait for their fire limit; store-wide, every replica tells the \
                 same",
            ),
            overdue: book.gauges_of_seconds(
                "hillock_schedule_overdue",
                [],
                "By how long the job that should have fired first is overdue; store-wide, every \
                 replica tells the same",
            ),
            stuck: book.gauges(
                "hillock_sessions_stuck",
                ["state"],
                "Sessions that have been starting or stopping for five minutes; store-wide, every \
                 replica tells the same",
            ),
            workers: book.gauges(
                "hillock_workers",
                ["health", "approval", "state"],
                "Workers, by how they are and what is wanted of them; store-wide, every replica \
                 tells the same",
            ),
        }
    }

    /// Says what is so at present.
    pub fn show(&self, present: &Present) {
        for (priority, word) in Priority::ALL {
            let mine = present.pending.iter().filter(|(one, _)| *one == priority);
            self.pending.set([word], number(mine.map(|(_, count)| count).sum()));
        }
        self.oldest_pending.set([], present.oldest_pending.as_secs_f64());
        self.blocked.set([], number(present.blocked));
        self.active.set([], number(present.active));
        self.pauses.set([], number(present.pauses));
        self.inbox.set([], number(present.inbox));
        self.oldest_event.set([], present.oldest_event.as_secs_f64());
        self.deferred.set([], number(present.deferred));
        self.overdue.set([], present.overdue.as_secs_f64());
        for state in [SessionState::Starting, SessionState::Stopping] {
            let mine = present.stuck.iter().filter(|(one, _)| *one == state);
            self.stuck.set([state.as_str()], number(mine.map(|(_, count)| count).sum()));
        }
        // A state that nobody is in any more is not left standing.
        self.workers.clear();
        self.workers.set(["online", "approved", "active"], 0.0);
        for Workers { health, approval, state, count } in &present.workers {
            let labels = [health.as_str(), approval.as_str(), state.as_str()];
            self.workers.set(labels, number(*count));
        }
    }

    /// Says nothing any more: what was so may be so no longer.
    pub fn hide(&self) {
        self.pending.clear();
        self.stuck.clear();
        self.workers.clear();
        for gauge in [
            &self.oldest_pending,
            &self.blocked,
            &self.active,
            &self.pauses,
            &self.inbox,
            &self.oldest_event,
            &self.deferred,
            &self.overdue,
        ] {
            gauge.clear();
        }
    }
}

fn number(count: u64) -> f64 {
    count as f64
}
