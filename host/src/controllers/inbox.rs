//! Events that wait for activation: those that ingress hands over, and those it could not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::driver::{Controller, Done, Failure};
use crate::activation::{ActivationError, Activator};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::ingress::inbox::InboxReceiver;
use crate::model::controller::ControllerName;
use crate::model::envelope::Event;
use crate::model::id::EventId;
use crate::model::time::Time;
use crate::store::{Store, StoreError, events};

/// How long an event is left to those who had it handed over.
const GRACE: Duration = Duration::from_secs(5);
/// How many events are activated at the same time: more than one component's share of the calls, so
/// that a slow one holds up only its own.
const AT_ONCE: usize = 64;
/// How many events are read from the store at a time.
const BATCH: u32 = 64;

/// How long one pass goes on finding more, before it begins anew.
const BUDGET: Duration = Duration::from_secs(2);

/// Activates what ingress hands over, until `stop` is called.
pub async fn activate_accepted(
    activator: Arc<Activator>,
    hub: Hub,
    mut accepted: InboxReceiver,
    stop: CancellationToken,
) {
    let mut hands = Hands { activator, hub, busy: JoinSet::new() };
    while let Some(Some(event)) = stop.run_until_cancelled(accepted.take()).await {
        hands.take(event).await;
    }
    hands.finish().await;
}

/// Activates what was not handed over, or was set aside.
#[derive(Debug)]
pub struct Inbox {
    store: Store,
    activator: Arc<Activator>,
    hub: Hub,
    clock: Clock,
    /// Whether what was left behind by another process has been looked at.
    began: AtomicBool,
}

impl Inbox {
    /// Looks through this store's inbox.
    pub fn new(store: Store, activator: Arc<Activator>, hub: Hub, clock: Clock) -> Self {
        Self { store, activator, hub, clock, began: AtomicBool::new(false) }
    }
}

impl Controller for Inbox {
    const NAME: ControllerName = ControllerName::Inbox;

    async fn pass(&self) -> Result<Done, Failure> {
        // Who has handed nothing over yet has nothing to wait for.
        let grace = if self.began.load(Ordering::Relaxed) { GRACE } else { Duration::ZERO };
        let (activator, hub) = (Arc::clone(&self.activator), self.hub.clone());
        let mut hands = Hands { activator, hub, busy: JoinSet::new() };
        let begin = self.clock.now();
        let (taken, more) = hands.sweep(&self.store, begin - grace).await?;
        hands.finish().await;
        self.began.store(true, Ordering::Relaxed);
        Ok(Done::of([("taken_up", taken)]).again_at(more.then_some(begin)))
    }
}

struct Hands {
    activator: Arc<Activator>,
    hub: Hub,
    busy: JoinSet<()>,
}

impl Hands {
    /// Takes up the events that came before `until`, as many as the time allows. How many, and
    /// whether there may be more.
    async fn sweep(&mut self, store: &Store, until: Time) -> Result<(u64, bool), StoreError> {
        let (begin, mut after, mut taken) = (Instant::now(), 0, 0);
        // What waits for room does not keep the others from being looked at.
        let mut full = BTreeSet::new();
        while begin.elapsed() < BUDGET {
            let waiting = events::waiting(store, after, until, &full, BATCH).await?;
            let Some((last, _)) = waiting.last() else { return Ok((taken, false)) };
            after = *last;
            for (_, event) in waiting {
                match event {
                    Ok(event) if full.contains(&event.scope) => {}
                    Ok(event) => match self.activator.has_room(&event.scope).await? {
                        Ok(()) => {
                            taken += 1;
                            self.take(event).await;
                        }
                        Err(why) => {
                            tracing::warn!(%why, "failed to activate events; trying again");
                            full.insert(event.scope.clone());
                        }
                    },
                    Err(error) => tracing::error!(%error, "failed to read an event"),
                }
            }
        }
        Ok((taken, true))
    }

    async fn take(&mut self, event: Arc<Event>) {
        if self.busy.len() >= AT_ONCE {
            self.busy.join_next().await;
        }
        while self.busy.try_join_next().is_some() {}
        let (activator, hub) = (Arc::clone(&self.activator), self.hub.clone());
        self.busy.spawn(async move {
            let id = event.id.clone();
            report(&id, activator.activate(event).await, &hub);
        });
    }

    async fn finish(mut self) {
        while self.busy.join_next().await.is_some() {}
    }
}

fn report(id: &EventId, activated: Result<Option<usize>, ActivationError>, hub: &Hub) {
    match activated {
        Ok(Some(runs)) => {
            tracing::debug!(event = %id, runs, "event activated");
            if runs > 0 {
                hub.notify();
            }
        }
        Ok(None) => {}
        Err(ActivationError::Full(why)) => {
            tracing::debug!(event = %id, %why, "event deferred: queue full")
        }
        Err(ActivationError::Busy(error)) => {
            tracing::warn!(event = %id, %error, "event deferred: components busy")
        }
        Err(error) => tracing::error!(event = %id, %error, "not activated; it will be tried again"),
    }
}
