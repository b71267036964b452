//! One call into a guest, from taking an instance to telling how it ended.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout;
use wasmtime::component::Resource;
use wasmtime::{Store, Trap, WasmBacktrace};

use super::Sandbox;
use super::complaint::Complaint;
use super::error::{Limit, SandboxError};
use super::guest::Guest;
use super::guest_clock::GuestClock;
use super::limits::Exceeded;
use super::pool::{Affinity, Instance, Pool, World};
use super::registry::Component;
use crate::config::Limits;
use crate::metrics::CallOutcome;
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
    pub(super) clock: GuestClock,
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

/// How long a call may take altogether when its guest waits for the network.
const WAITING_MAX: Duration = Duration::from_secs(30);

type Answer<'a, A> = Pin<Box<dyn Future<Output = wasmtime::Result<A>> + Send + 'a>>;

impl Sandbox {
    /// Makes a call, and measures it; gives the answer, and back what was lent.
    pub(super) async fn call<W: World, L: Send + 'static, A>(
        &self,
        call: Call<'_, W, L>,
        function: impl for<'a> FnOnce(
            &'a W,
            &'a mut Store<Guest>,
            Resource<L>,
            &'a str,
        ) -> Answer<'a, A>,
    ) -> Result<(A, L), SandboxError> {
        let begin = Instant::now();
        let called = self.unmeasured(call, function).await;
        let outcome = called.as_ref().map_or_else(ending, |_| CallOutcome::Answered);
        self.metrics.plugins().called(W::KIND.as_str(), outcome, begin.elapsed());
        called
    }

    /// Only an instance that answered is used again: after a crash or an exceeded limit it is gone
    /// with all it held.
    async fn unmeasured<W: World, L: Send + 'static, A>(
        &self,
        call: Call<'_, W, L>,
        function: impl for<'a> FnOnce(
            &'a W,
            &'a mut Store<Guest>,
            Resource<L>,
            &'a str,
        ) -> Answer<'a, A>,
    ) -> Result<(A, L), SandboxError> {
        let Call { component, pre, pool, scope, text, clock, lent } = call;
        let origin = &component.origin;
        let limits = self.engine.limits();
        let Ok(_share) = component.places.try_acquire() else {
            return Err(SandboxError::Busy { component: origin.component.clone() });
        };
        // Closed never: the semaphores live as long as the sandbox.
        let places = if W::PURE { &self.calls } else { &self.waiting_calls };
        let _place = places.acquire().await;
        let affinity = Affinity { digest: &origin.digest, config: text, scope };
        let mut instance = match pool.take(&affinity) {
            Some(instance) => instance,
            None => {
                let guest = Guest::new(origin.component.clone(), limits);
                let complaint = guest.complaint.clone();
                let new = Instance::new(self.engine.store(guest), pre, &affinity);
                self.bounded(new).await.map_err(|error| self.outcome(origin, &complaint, &error))?
            }
        };
        let Instance { store, world, .. } = &mut instance;
        let complaint = store.data().complaint.clone();
        let crashed = |error| self.outcome(origin, &complaint, &error);
        self.engine.refuel(store).map_err(crashed)?;
        store.data_mut().begin(clock);
        let own = store.data_mut().table.push(lent).map_err(|error| crashed(error.into()))?;
        let borrowed = Resource::new_borrow(own.rep());
        let work = function(world, store, borrowed, text);
        let answer = if W::PURE { self.bounded(work).await } else { self.waiting(work).await };
        let left = store.get_fuel().unwrap_or(limits.fuel);
        self.metrics.plugins().burnt(W::KIND.as_str(), limits.fuel.saturating_sub(left));
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
        let mut work = pin!(work);
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
        finished.unwrap_or_else(|_| Err(timed_out(time)))
    }

    /// Tells a limit from a crash, of which the guest may have said more than the engine knows.
    fn outcome(
        &self,
        origin: &Origin,
        complaint: &Complaint,
        error: &wasmtime::Error,
    ) -> SandboxError {
        let component = origin.component.clone();
        if let Some(limit) = limit_of(error, self.engine.limits()) {
            return SandboxError::Exceeded { component, limit };
        }
        let reason = shortened(&reason_of(error), REASON_BYTES_MAX);
        let said = complaint.told(&self.secrets.redaction());
        let reason =
            said.map_or_else(|| reason.clone(), |said| format!("{reason}; it said: {said}"));
        SandboxError::Crashed { component, reason }
    }

    /// The work of a guest that also waits for the network.
    async fn waiting<A>(
        &self,
        work: impl Future<Output = wasmtime::Result<A>>,
    ) -> wasmtime::Result<A> {
        by_turns(work, self.engine.limits().time, WAITING_MAX).await
    }
}

/// Work within the time that it may compute and the time that it may take altogether. Waiting keeps
/// no thread.
async fn by_turns<A>(
    work: impl Future<Output = wasmtime::Result<A>>,
    time: Duration,
    altogether: Duration,
) -> wasmtime::Result<A> {
    let turns = Turns { work: pin!(work), computed: Duration::ZERO, time };
    timeout(altogether, turns).await.unwrap_or_else(|_| Err(timed_out(altogether)))
}

/// Work that computes by turns, of which only the turns count. From the time that it counts as
/// slow, each turn leaves the runtime's thread to the others.
struct Turns<'w, F> {
    work: Pin<&'w mut F>,
    computed: Duration,
    time: Duration,
}

impl<F: Future<Output = wasmtime::Result<A>>, A> Future for Turns<'_, F> {
    type Output = wasmtime::Result<A>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begin = Instant::now();
        let aside = self.computed >= MOMENT
            && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let work = self.work.as_mut();
        let turn = if aside { block_in_place(|| work.poll(context)) } else { work.poll(context) };
        self.computed += begin.elapsed();
        if turn.is_pending() && self.computed > self.time {
            return Poll::Ready(Err(timed_out(self.time)));
        }
        turn
    }
}

fn timed_out(time: Duration) -> wasmtime::Error {
    Exceeded(Limit::Time(time.as_millis())).into()
}

/// How a call without an answer ended.
fn ending(error: &SandboxError) -> CallOutcome {
    match error {
        SandboxError::Exceeded { limit, .. } => CallOutcome::Limited(limit.as_str()),
        SandboxError::Busy { .. } => CallOutcome::Busy,
        _ => CallOutcome::Trapped,
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

/// Whether a call failed after its guest had returned, over what it returned: no guest's code is under
/// way then that could be traced.
pub(super) fn is_of_the_answer(error: &wasmtime::Error) -> bool {
    !error.is::<Trap>() && !error.is::<WasmBacktrace>()
}

/// The innermost cause: what lies around it is a backtrace of the guest.
fn reason_of(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(5);

    async fn check(work: impl Future<Output = wasmtime::Result<()>>, bounds: [Duration; 2]) {
        let [time, altogether] = bounds;
        let error = by_turns(work, time, altogether).await.unwrap_err();
        assert_eq!(error.to_string(), "exceeded its time limit (5 ms)");
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        check(pending(), [LONG, SHORT]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn computing_by_turns_has_an_end() {
        let turn = |context: &mut Context<'_>| {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(1) {}
            context.waker().wake_by_ref();
            Poll::Pending
        };
        check(poll_fn(turn), [SHORT, LONG]).await;
    }
}
