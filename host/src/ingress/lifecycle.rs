//! The host's own life as events: each notice goes to the hooks at its point, to `lifecycle`, which
//! makes an event of every point, and, when it is of a run, to the observers of runs.
//!
//! A notice is settled in one transaction with its events and with what observers remember of it: a
//! notice that is seen twice, by two replicas or after a crash, leads to its events once.

use std::sync::Arc;

use super::inbox::InboxSender;
use super::looks::hand_over;
use super::mint::{Forged, Mint};
use super::observers::{Asking, Observed, Seen};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::model::definition::{Definitions, Hook, Observer, OnError, Point, Watch};
use crate::model::envelope::{Producer, Source};
use crate::model::id::HookId;
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::sandbox::{self, Sandbox, SandboxError};
use crate::store::events::Delivery;
use crate::store::notices::{self, Notice};
use crate::store::{Store, StoreError, source_states};

/// The component that makes an event of every point.
const LIFECYCLE: &str = "lifecycle";
/// How many notices are settled between two looks.
const BATCH: u32 = 100;

/// Turns notices into events.
#[derive(Debug)]
pub struct Lifecycle {
    store: Store,
    sandbox: Arc<Sandbox>,
    catalog: Catalog,
    clock: Clock,
    inbox: InboxSender,
}

impl Lifecycle {
    /// Turns the store's notices into events in its inbox.
    pub fn new(
        store: Store,
        sandbox: Arc<Sandbox>,
        catalog: Catalog,
        clock: Clock,
        inbox: InboxSender,
    ) -> Self {
        Self { store, sandbox, catalog, clock, inbox }
    }

    /// Settles the oldest notices, and says whether there may be more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn settle_some(&self) -> Result<bool, LifecycleError> {
        let waiting = notices::waiting(&self.store, BATCH).await?;
        let definitions = self.catalog.now();
        let mut all_settled = true;
        for notice in &waiting {
            match self.settle(notice, &definitions).await {
                Ok(()) => {}
                // It waits for the next time, and the others do not wait for it.
                Err(LifecycleError::Busy(error)) => {
                    tracing::warn!(notice = %notice.id, %error, "lifecycle notice deferred");
                    all_settled = false;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all_settled && waiting.len() == BATCH as usize)
    }

    async fn settle(
        &self,
        notice: &Notice,
        definitions: &Definitions,
    ) -> Result<(), LifecycleError> {
        let (mut deliveries, mut states) = (Vec::new(), Vec::new());
        for hook in hooks_at(notice, definitions) {
            match self.notice(notice, &hook).await {
                Ok(made) => deliveries.extend(made),
                Err(CallError::Sandbox(error @ SandboxError::Busy { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::error!(
                        hook = %hook.name, point = %notice.point, %error,
                        "lifecycle hook failed"
                    );
                }
            }
        }
        for observer in observers_of(notice, definitions) {
            if let Some(observed) = self.observe(notice, observer).await? {
                deliveries.extend(observed.deliveries);
                states.push(observed.state);
            }
        }
        let settled = notices::settle(&self.store, &notice.id, &deliveries, states).await?;
        // When somebody else was faster, the notice is gone, or waits for the next time.
        if let Some(accepted) = settled {
            hand_over(&self.inbox, &deliveries, &accepted);
        }
        Ok(())
    }

    /// The deliveries that one hook makes of a notice.
    async fn notice(&self, notice: &Notice, hook: &Hook) -> Result<Vec<Delivery>, CallError> {
        let told = sandbox::Notice {
            id: notice.id.to_string(),
            point: notice.point.as_str().to_owned(),
            at: notice.at,
            data: notice.data.clone(),
            config: hook.config.as_str().into(),
        };
        let signals = self.sandbox.notice(&hook.component, &notice.scope, told).await?;
        let mint = Mint {
            source: Source::Hook,
            producer: Producer { id: hook.id.to_string(), name: hook.name.clone() },
            scope: notice.scope.clone(),
            origin: self.sandbox.origin(&hook.component)?.clone(),
            at: notice.at,
            depth: notice.depth,
            causes: notice.causes.clone(),
            call: notice.id.to_string(),
        };
        Ok(mint.deliveries(self.clock, signals)?)
    }

    /// What an observer of runs makes of a notice; none when it has just been removed.
    async fn observe(
        &self,
        notice: &Notice,
        observer: &Observer,
    ) -> Result<Option<Observed>, LifecycleError> {
        let id = observer.id.as_str();
        let Some(before) = source_states::open(&self.store, id).await? else { return Ok(None) };
        let seen = Seen {
            id: notice.id.to_string(),
            at: notice.at,
            data: notice.data.clone(),
            depth: notice.depth,
            causes: notice.causes.clone(),
        };
        let asking = Asking { sandbox: Arc::clone(&self.sandbox), clock: self.clock };
        Ok(Some(asking.ask(observer, before, &[seen]).await?))
    }
}

/// Why a hook made no events.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Forged(#[from] Forged),
}

/// Why notices wait.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A component is busy.
    #[error(transparent)]
    Busy(#[from] SandboxError),
}

/// The hooks that are told of a notice.
fn hooks_at(notice: &Notice, definitions: &Definitions) -> Vec<Hook> {
    let told = |hook: &&Hook| {
        hook.enabled && hook.scope == notice.scope && hook.points.contains(&notice.point)
    };
    let own = definitions.hooks.iter().filter(told).cloned();
    own.chain(lifecycle(&notice.scope, notice.point)).collect()
}

/// The observers that see a notice: those of runs, when it is of a run.
fn observers_of<'d>(
    notice: &'d Notice,
    definitions: &'d Definitions,
) -> impl Iterator<Item = &'d Observer> {
    let is_of_run = notice.point.as_str().starts_with("run.");
    definitions.observers.iter().filter(move |observer| {
        let watches = observer.enabled && observer.watch == Watch::Runs;
        is_of_run && watches && observer.scope == notice.scope
    })
}

/// The hook that every scope has.
fn lifecycle(scope: &Scope, point: Point) -> Option<Hook> {
    let name: Name = LIFECYCLE.parse().ok()?;
    Some(Hook {
        // No name of a hook that somebody defines.
        id: HookId::derive(scope, "lifecycle/host"),
        scope: scope.clone(),
        component: name.clone(),
        name,
        points: vec![point],
        config: "{}".to_owned(),
        on_error: OnError::default(),
        enabled: true,
    })
}
