//! Definitions that look by themselves, each when it is due: extensions, and observers of queues.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::ingress::{LEASE, Looks};
use crate::model::definition::Definitions;
use crate::model::time::Time;
use crate::store::source_states::{self, SourceState};
use crate::store::{Store, StoreError};

/// How many look at the same time, so that a slow one holds up no other.
const AT_ONCE: usize = 8;
/// How long nobody looks though nothing is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long a store that fails is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// Has definitions look until `stop` is called: each when it is due, and at once when it is new or
/// has changed.
pub(super) async fn looks<L: Looks>(
    looks: L,
    store: Store,
    catalog: Catalog,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut catalog = catalog.changes();
    let mut round = Round { looks: Arc::new(looks), store, clock, stop, busy: JoinSet::new() };
    let mut follows = false;
    while !round.stop.is_cancelled() {
        let definitions = {
            let now = catalog.borrow_and_update();
            follows &= !now.has_changed();
            Arc::clone(&now)
        };
        let next = match round.begin(&definitions, &mut follows).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "failed to poll sources; trying again");
                Some(clock.now() + PAUSE)
            }
        };
        // The next may be put forward meanwhile, by whoever puts a wrong clock's doing right.
        let look = clock.now() + LOOK_INTERVAL;
        let has_room = round.busy.len() < AT_ONCE;
        tokio::select! {
            () = round.stop.cancelled() => {}
            Ok(()) = catalog.changed() => follows = false,
            Some(_) = round.busy.join_next() => {}
            () = clock.sleep_until(next.unwrap_or(look).min(look)), if has_room => {}
        }
    }
    while round.busy.join_next().await.is_some() {}
}

struct Round<L> {
    looks: Arc<L>,
    store: Store,
    clock: Clock,
    stop: CancellationToken,
    busy: JoinSet<()>,
}

impl<L: Looks> Round<L> {
    /// Has those begin that are due, as far as there is room, and says when the next one is.
    async fn begin(
        &mut self,
        definitions: &Definitions,
        follows: &mut bool,
    ) -> Result<Option<Time>, StoreError> {
        let (ids, now) = (L::ids(definitions), self.clock.now());
        if !*follows {
            source_states::follow(&self.store, ids.clone(), now).await?;
            *follows = true;
        }
        let room = u32::try_from(AT_ONCE - self.busy.len()).unwrap_or(0);
        for due in source_states::due(&self.store, &ids, now, room).await? {
            self.claim(due, now).await?;
        }
        source_states::next_at(&self.store, &ids).await
    }

    /// Has one begin, unless another replica was faster.
    async fn claim(&mut self, due: SourceState, now: Time) -> Result<(), StoreError> {
        let (due_at, set_at) = (due.next_at, due.set_at);
        let claimed = SourceState { next_at: Some(now + LEASE), set_at: Some(now), ..due };
        if source_states::commit(&self.store, &claimed, &[]).await?.is_none() {
            return Ok(());
        }
        let claimed = SourceState { revision: claimed.revision + 1, ..claimed };
        let (looks, store, stop) = (Arc::clone(&self.looks), self.store.clone(), self.stop.clone());
        self.busy.spawn(async move {
            let look = looks.look(claimed.clone());
            let looked = match stop.run_until_cancelled(look).await {
                Some(looked) => looked,
                // Somebody else is to look at once.
                None => {
                    let released = SourceState { next_at: due_at, set_at, ..claimed };
                    source_states::commit(&store, &released, &[]).await.map(drop)
                }
            };
            if let Err(error) = looked {
                tracing::error!(%error, "failed to poll a source; trying again");
            }
        });
        Ok(())
    }
}
