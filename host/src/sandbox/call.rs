//! One call into a guest, from taking an instance to telling how it ended.

use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout;
use wasmtime::component::Resource;
use wasmtime::{Store, Trap};

use super::Sandbox;
use super::error::{Limit, SandboxError};
use super::guest::Guest;
use super::limits::Exceeded;
use super::moment::Moment;
use super::pool::{Affinity, Instance, Pool, World};
use super::registry::Component;
use crate::config::Limits;
use crate::model::envelope::Origin;
use crate::model::scope::Scope;
use crate::model::text::shortened;

/// How much of a crash's message is kept, in bytes.
const REASON_BYTES_MAX: usize = 512;

/// A call to be made.
pub(super) struct Call<'c, W: World, L> {
    /// The component.
    pub(super) component: &'c Component,
    /// The component, ready to be instantiated.
    pub(super) pre: &'c W::Pre,
    /// Where its idle instances are.
    pub(super) pool: &'c Pool<W>,
    /// Whose event it is.
    pub(super) scope: &'c Scope,
    /// The configuration or template.
    pub(super) text: &'c str,
    /// What the guest takes for the present.
    pub(super) moment: Moment,
    /// What is lent to the guest for the time of the call.
    pub(super) lent: L,
}

/// How long a call may take before it counts as slow: two turns of a computing guest.
const MOMENT: Duration = Duration::from_millis(20);

impl<'c, W: World, L> Call<'c, W, L> {
    pub(super) fn origin(&self) -> &'c Origin {
        &self.component.origin
    }
}

type Answer<'a, A> = Pin<Box<dyn Future<Output = wasmtime::Result<A>> + Send + 'a>>;
type Function<W, L, A> =
    for<'a> fn(&'a W, &'a mut Store<Guest>, Resource<L>, &'a str) -> Answer<'a, A>;

impl Sandbox {
    /// Makes a call; gives the answer, and back what was lent. Only an instance that answered is
    /// used again: after a crash or an exceeded limit it is gone with all it held.
    pub(super) async fn call<W: World, L: Send + 'static, A>(
        &self,
        call: Call<'_, W, L>,
        function: Function<W, L, A>,
    ) -> Result<(A, L), SandboxError> {
        let Call { component, pre, pool, scope, text, moment, lent } = call;
        let origin = &component.origin;
        let limits = self.engine.limits();
        let crashed = |error| outcome(origin, limits, error);
        let Ok(_share) = component.places.try_acquire() else {
            return Err(SandboxError::Busy { component: origin.component.clone() });
        };
        // Closed never: the semaphore lives as long as the sandbox.
        let _place = self.calls.acquire().await;
        let affinity = Affinity { digest: &origin.digest, config: text, scope };
        let mut instance = match pool.take(&affinity) {
            Some(instance) => instance,
            None => {
                let store = self.engine.store(Guest::new(origin.component.clone(), limits));
                self.bounded(Instance::new(store, pre, &affinity)).await.map_err(crashed)?
            }
        };
        let Instance { store, world, .. } = &mut instance;
        self.engine.refuel(store).map_err(crashed)?;
        store.data_mut().begin(moment);
        let own = store.data_mut().table.push(lent).map_err(|error| crashed(error.into()))?;
        let borrowed = Resource::new_borrow(own.rep());
        let answer = self.bounded(function(world, store, borrowed, text)).await;
        let answer = answer.map_err(crashed)?;
        let lent = store.data_mut().table.delete(own).map_err(|error| crashed(error.into()))?;
        pool.put_back(instance);
        Ok((answer, lent))
    }

    /// The guest's work within its time. What is done within a moment, as nearly all is, is done
    /// where it was asked for. A guest that goes on computing would keep that thread, turn by
    /// turn, from everybody's requests: it gets a thread of its own, and few of its kind run at
    /// once. Its time counts while it has the thread.
    async fn bounded<A>(
        &self,
        work: impl Future<Output = wasmtime::Result<A>>,
    ) -> wasmtime::Result<A> {
        let time = self.engine.limits().time;
        let mut work = std::pin::pin!(work);
        if let Ok(result) = timeout(MOMENT.min(time), work.as_mut()).await {
            return result;
        }
        // Closed never, as the semaphore of all calls.
        let _lane = self.slow.acquire().await;
        let rest = timeout(time.saturating_sub(MOMENT), work);
        let runtime = Handle::current();
        let finished = match runtime.runtime_flavor() {
            RuntimeFlavor::MultiThread => block_in_place(|| runtime.block_on(rest)),
            // A test's runtime: there is no other thread to leave the others to.
            _ => rest.await,
        };
        finished.unwrap_or_else(|_| Err(Exceeded(Limit::Time(time.as_millis())).into()))
    }
}

/// Tells a limit from a crash.
fn outcome(origin: &Origin, limits: Limits, error: wasmtime::Error) -> SandboxError {
    let component = origin.component.clone();
    match limit_of(&error, limits) {
        Some(limit) => SandboxError::Exceeded { component, limit },
        None => {
            let reason = shortened(&reason_of(&error), REASON_BYTES_MAX);
            SandboxError::Crashed { component, reason }
        }
    }
}

fn limit_of(error: &wasmtime::Error, limits: Limits) -> Option<Limit> {
    if let Some(Exceeded(limit)) = error.downcast_ref() {
        return Some(*limit);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Some(Limit::Fuel(limits.fuel)),
        Some(Trap::StackOverflow) => return Some(Limit::Stack),
        Some(Trap::Interrupt) => return Some(Limit::Time(limits.time.as_millis())),
        _ => {}
    }
    // wasmtime has no type for this one.
    let copied_too_much = error
        .chain()
        .any(|cause| cause.to_string().contains("fuel allocated for hostcalls has been exhausted"));
    copied_too_much.then_some(Limit::Output(limits.output_bytes))
}

/// The innermost cause: what lies around it is a backtrace of the guest.
fn reason_of(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}
