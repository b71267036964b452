//! Events that wait for activation: those that ingress hands over, and those it could not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::activation::{ActivationError, Activator};
use crate::clock::Clock;
use crate::dispatch::hub::Hub;
use crate::ingress::inbox::Tray;
use crate::model::envelope::Event;
use crate::store::{Store, events};

/// How long an event may wait before somebody looks for it in the store.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many events are activated at the same time: more than one component's share of the calls, so
/// that a slow one holds up only its own.
const AT_ONCE: usize = 64;
/// How many events are read from the store at a time.
const BATCH: u32 = 64;

/// Activates events until `stop` is called: first what was left behind, then what comes.
pub async fn inbox(
    store: Store,
    activator: Arc<Activator>,
    hub: Hub,
    clock: Clock,
    mut tray: Tray,
    stop: CancellationToken,
) {
    let mut hands = Hands { activator, hub, busy: JoinSet::new() };
    let mut sweep = interval(INTERVAL);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut grace = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = sweep.tick() => {
                hands.sweep(&store, clock, grace, &stop).await;
                grace = INTERVAL;
            }
            event = tray.take() => match event {
                Some(event) => hands.take(event).await,
                None => break,
            },
        }
    }
    while hands.busy.join_next().await.is_some() {}
}

struct Hands {
    activator: Arc<Activator>,
    hub: Hub,
    busy: JoinSet<()>,
}

impl Hands {
    /// Activates every event that has waited longer than `grace`.
    async fn sweep(
        &mut self,
        store: &Store,
        clock: Clock,
        grace: Duration,
        stop: &CancellationToken,
    ) {
        let until = clock.now() - grace;
        let mut after = 0;
        // What waits for room does not keep the others from being looked at.
        let mut full = BTreeSet::new();
        while !stop.is_cancelled() {
            let waiting = match events::waiting(store, after, until, &full, BATCH).await {
                Ok(waiting) => waiting,
                Err(error) => return tracing::error!(%error, "the inbox could not be read"),
            };
            let Some((last, _)) = waiting.last() else { return };
            after = *last;
            for (_, event) in waiting {
                match event {
                    Ok(event) if full.contains(&event.scope) => {}
                    Ok(event) => match self.activator.has_room(&event.scope).await {
                        Ok(Ok(())) => self.take(event).await,
                        Ok(Err(why)) => {
                            tracing::warn!(%why, "events wait");
                            full.insert(event.scope.clone());
                        }
                        Err(error) => {
                            return tracing::error!(%error, "the queue could not be counted");
                        }
                    },
                    Err(error) => tracing::error!(%error, "an event cannot be read"),
                }
            }
        }
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
}

fn report(
    id: &crate::model::id::EventId,
    activated: Result<Option<usize>, ActivationError>,
    hub: &Hub,
) {
    match activated {
        Ok(Some(runs)) => {
            tracing::debug!(event = %id, runs, "activated");
            if runs > 0 {
                hub.notify();
            }
        }
        Ok(None) => {}
        Err(ActivationError::Full(why)) => tracing::debug!(event = %id, %why, "set aside"),
        Err(ActivationError::Busy(error)) => tracing::warn!(event = %id, %error, "set aside"),
        Err(error) => tracing::error!(event = %id, %error, "not activated; it will be tried again"),
    }
}
