//! Idle instances, to be had again by the same component with the same configuration in the same
//! workspace, and by nobody else.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use wasmtime::Store;

use super::bindings::{
    ExtensionSource, ExtensionSourcePre, Filter, FilterPre, HookSource, HookSourcePre,
    ObserverSource, ObserverSourcePre, PreFireHook, PreFireHookPre, PromptTemplate,
    PromptTemplatePre, WebhookSource, WebhookSourcePre,
};
use super::guest::Guest;
use super::registry::Kind;
use crate::model::scope::Scope;

/// How many idle instances a pool keeps.
pub(super) const IDLE_MAX: usize = 32;
/// How often an instance is used before a fresh one takes its place.
const USES_MAX: u32 = 1000;
/// How much linear memory an idle instance may hold, in bytes.
const IDLE_MEMORY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A world that can be instantiated.
pub(super) trait World: Sized + Send + 'static {
    /// A component linked for it.
    type Pre: Sync;
    /// The kind of its components.
    const KIND: Kind;
    /// Whether its guests are functions of what they are given. The others wait for the network,
    /// and their instances are never used again.
    const PURE: bool;

    fn instantiate(
        pre: &Self::Pre,
        store: &mut Store<Guest>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;
}

macro_rules! worlds {
    ($($world:ident is $kind:ident from $pre:ident, pure: $pure:literal;)*) => {$(
        impl World for $world {
            type Pre = $pre<Guest>;
            const KIND: Kind = Kind::$kind;
            const PURE: bool = $pure;

            async fn instantiate(
                pre: &Self::Pre,
                store: &mut Store<Guest>,
            ) -> wasmtime::Result<Self> {
                pre.instantiate_async(store).await
            }
        }
    )*};
}
worlds! {
    WebhookSource is WebhookSource from WebhookSourcePre, pure: true;
    Filter is Filter from FilterPre, pure: true;
    PromptTemplate is PromptTemplate from PromptTemplatePre, pure: true;
    HookSource is HookSource from HookSourcePre, pure: true;
    ObserverSource is ObserverSource from ObserverSourcePre, pure: true;
    ExtensionSource is ExtensionSource from ExtensionSourcePre, pure: false;
    PreFireHook is PreFireHook from PreFireHookPre, pure: true;
}

/// What an instance may be used for again.
pub(super) struct Affinity<'a> {
    pub(super) digest: &'a str,
    pub(super) config: &'a str,
    pub(super) scope: &'a Scope,
}

/// An instance with its store.
pub(super) struct Instance<W> {
    pub(super) store: Store<Guest>,
    pub(super) world: W,
    digest: String,
    config: String,
    scope: Scope,
    uses: u32,
}

impl<W: World> Instance<W> {
    pub(super) async fn new(
        mut store: Store<Guest>,
        pre: &W::Pre,
        affinity: &Affinity<'_>,
    ) -> wasmtime::Result<Self> {
        let world = W::instantiate(pre, &mut store).await?;
        Ok(Self {
            store,
            world,
            digest: affinity.digest.to_owned(),
            config: affinity.config.to_owned(),
            scope: affinity.scope.clone(),
            uses: 0,
        })
    }

    fn fits(&self, affinity: &Affinity<'_>) -> bool {
        self.scope == *affinity.scope
            && self.digest == affinity.digest
            && self.config == affinity.config
    }
}

/// The idle instances of one world, the longest unused first.
pub(super) struct Pool<W> {
    idle: Mutex<VecDeque<Instance<W>>>,
}

impl<W: World> Pool<W> {
    /// An idle instance that fits.
    pub(super) fn take(&self, affinity: &Affinity<'_>) -> Option<Instance<W>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.iter().rposition(|instance| instance.fits(affinity))?;
        idle.remove(last)
    }

    /// Keeps an instance for next time, unless it is worn out.
    pub(super) fn put_back(&self, mut instance: Instance<W>) {
        instance.uses += 1;
        let memory_bytes = instance.store.data().meter.memory_bytes;
        if !W::PURE || instance.uses >= USES_MAX || memory_bytes > IDLE_MEMORY_BYTES_MAX {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push_back(instance);
        let oldest = if idle.len() > IDLE_MAX { idle.pop_front() } else { None };
        // Giving its memory back takes longer than anybody should wait for the lock.
        std::mem::drop(idle);
        std::mem::drop(oldest);
    }
}

impl<W> Default for Pool<W> {
    fn default() -> Self {
        Self { idle: Mutex::default() }
    }
}

impl<W> fmt::Debug for Pool<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
