//! What drives the controllers: each has passes, one at a time over all replicas of the host.
//!
//! ```text
//!   start · interval · signal · order ─► begin in the store ─► pass ─► end in the store
//!                                          │ held elsewhere      │ bounded; a panic is caught
//!                                          └─ look again         └─ counted, and tried again
//! ```
//! A controller takes nothing but the store and can have a pass at any time, twice as well as once.
//! So a pass that is cut short, by its limit or by the host's end, leaves nothing half-done that the
//! next one does not find.

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::ControllerSettings;
use crate::metrics::Metrics;
use crate::model::controller::{
    Controller as Standing, ControllerName, Holder, Items, Pass, PassResult,
};
use crate::model::id::ReplicaId;
use crate::model::time::{SKEW, Time};
use crate::store::controllers::{self, Begin, Turn};
use crate::store::{Store, StoreError};

/// The shortest time that a pass may take before it is ended.
const LIMIT_MIN: Duration = Duration::from_secs(5);
/// How soon after a pass that did not succeed, or that could not begin, the next one is.
const RETRY: Duration = Duration::from_secs(5);
/// How soon to look again whether somebody else's pass has ended.
const HELD: Duration = Duration::from_millis(500);
/// How many orders one controller may have waiting.
const ORDERS_MAX: usize = 8;

/// Why a pass did not do what there was to do.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A background loop, as one pass of it.
pub trait Controller: Send + Sync + 'static {
    /// What it is called.
    const NAME: ControllerName;

    /// Does what there is to do.
    fn pass(&self) -> impl Future<Output = Result<Done, Failure>> + Send;

    /// What a pass would do now, for those that delete; nothing is done.
    fn rehearse(&self) -> impl Future<Output = Result<Option<Items>, Failure>> + Send {
        async { Ok(None) }
    }
}

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// How many things, by what was done to them.
    pub items: Items,
    /// When there is something to do again, if that is before the interval has passed.
    pub next_at: Option<Time>,
}

impl Done {
    /// These counts, without those that are zero.
    pub fn of<const N: usize>(counts: [(&str, u64); N]) -> Self {
        let some = counts.into_iter().filter(|(_, count)| *count > 0);
        let items = some.map(|(what, count)| (what.to_owned(), count)).collect();
        Self { items, next_at: None }
    }

    /// The same, with something to do again at `at`.
    pub fn again_at(self, at: Option<Time>) -> Self {
        Self { next_at: at, ..self }
    }
}

/// The controllers before they begin.
pub struct Driver {
    shared: Arc<Shared>,
    desks: BTreeMap<ControllerName, Desk>,
    loops: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

struct Shared {
    store: Store,
    clock: Clock,
    replica: ReplicaId,
    settings: ControllerSettings,
    metrics: Metrics,
    stop: CancellationToken,
}

/// Where a controller takes orders.
#[derive(Clone, Debug)]
struct Desk {
    interval: Duration,
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    rehearse: bool,
    reply: oneshot::Sender<Result<Ran, RunError>>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// A pass has ended.
    Pass(Pass),
    /// What a pass would do.
    Rehearsal(Items),
}

/// Why a controller had no pass though it was ordered.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It takes no orders: it is not driven here, or the host ends.
    #[error("this host does not drive it")]
    Absent,
    /// Too many orders wait.
    #[error("too many orders wait for it already")]
    Busy,
    /// Another replica is at it.
    #[error("the replica {} is at it, until {} at the latest", .0.replica, .0.until)]
    Held(Holder),
    /// It cannot say what it would do.
    #[error("it cannot tell beforehand what it would do")]
    NoRehearsal,
    /// A rehearsal failed.
    #[error("it cannot tell what it would do: {0}")]
    Rehearsal(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Driver {
    /// Drives controllers for this replica, as long as `stop` is not called.
    pub fn new(
        store: Store,
        clock: Clock,
        replica: ReplicaId,
        settings: ControllerSettings,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared { store, clock, replica, settings, metrics, stop });
        Self { shared, desks: BTreeMap::new(), loops: vec![] }
    }

    /// Takes a controller on, unless this host is told not to drive it. Who hears of something to do
    /// rings the bell that this gives.
    pub fn register<C: Controller>(&mut self, controller: C) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        if !self.shared.settings.is_enabled(C::NAME) {
            return bell;
        }
        let (orders, desk) = mpsc::channel(ORDERS_MAX);
        let interval = self.shared.settings.interval(C::NAME);
        self.shared.metrics.controllers().known(C::NAME, interval);
        self.desks.insert(C::NAME, Desk { interval, orders });
        self.loops.push(Box::pin(
            Loop {
                controller: Arc::new(controller),
                shared: Arc::clone(&self.shared),
                interval,
                bell: Arc::clone(&bell),
                orders: desk,
            }
            .drive(),
        ));
        bell
    }

    /// Has all of them begin. There is no registering afterwards.
    pub fn start(self, tasks: &TaskTracker) -> Controllers {
        for one in self.loops {
            tasks.spawn(one);
        }
        Controllers { shared: self.shared, desks: Arc::new(self.desks) }
    }
}

/// The controllers that are driven here.
#[derive(Clone)]
pub struct Controllers {
    shared: Arc<Shared>,
    desks: Arc<BTreeMap<ControllerName, Desk>>,
}

impl std::fmt::Debug for Controllers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.desks.keys()).finish()
    }
}

impl Controllers {
    /// This replica's own name.
    pub fn replica(&self) -> &ReplicaId {
        &self.shared.replica
    }

    /// Each with its interval, and how it fares if it has begun; those that this replica does not
    /// drive among them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
    ) -> Result<Vec<(ControllerName, Duration, Option<Standing>)>, StoreError> {
        let standings = controllers::list(&self.shared.store).await?;
        let standing = |name| standings.iter().find(|one| one.name == name).cloned();
        let interval = |name| match self.desks.get(&name) {
            Some(desk) => Some(desk.interval),
            None => (!self.is_enabled(name)).then(|| self.shared.settings.interval(name)),
        };
        let names = ControllerName::ALL.iter().map(|(name, _)| *name);
        Ok(names.filter_map(|name| Some((name, interval(name)?, standing(name)))).collect())
    }

    /// Whether this replica is to drive it.
    pub fn is_enabled(&self, name: ControllerName) -> bool {
        self.shared.settings.is_enabled(name)
    }

    /// Has a controller have a pass now, or say what it would do.
    ///
    /// # Errors
    /// When it cannot. That a pass went wrong is an answer.
    pub async fn run(&self, name: ControllerName, rehearse: bool) -> Result<Ran, RunError> {
        let desk = self.desks.get(&name).ok_or(RunError::Absent)?;
        let (reply, answer) = oneshot::channel();
        desk.orders.try_send(Order { rehearse, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => RunError::Busy,
            mpsc::error::TrySendError::Closed(_) => RunError::Absent,
        })?;
        answer.await.unwrap_or(Err(RunError::Absent))
    }
}

struct Loop<C> {
    controller: Arc<C>,
    shared: Arc<Shared>,
    interval: Duration,
    bell: Arc<Notify>,
    orders: mpsc::Receiver<Order>,
}

/// What a turn came to.
enum Turned {
    Ended(Pass),
    Held(Holder),
    /// There was nothing due, or the host ends.
    Nothing,
}

impl<C: Controller> Loop<C> {
    async fn drive(mut self) {
        let shared = Arc::clone(&self.shared);
        let (mut at_once, mut next_at) = (true, shared.clock.now());
        loop {
            tokio::select! {
                biased;
                () = shared.stop.cancelled() => return,
                Some(order) = self.orders.recv() => {
                    self.answer(order, &mut next_at).await;
                    continue;
                }
                () = self.bell.notified() => at_once = true,
                () = shared.clock.sleep_until(next_at) => {}
            }
            at_once = match self.turn(at_once, &mut next_at).await {
                Ok(Turned::Held(_)) => at_once,
                Ok(Turned::Ended(_) | Turned::Nothing) => false,
                Err(error) => {
                    tracing::error!(
                        controller = %C::NAME, %error,
                        "failed to begin a controller run"
                    );
                    at_once
                }
            };
        }
    }

    async fn answer(&self, order: Order, next_at: &mut Time) {
        let answer = if order.rehearse { self.rehearse().await } else { self.obey(next_at).await };
        // Who asked may have gone.
        drop(order.reply.send(answer));
    }

    async fn rehearse(&self) -> Result<Ran, RunError> {
        let controller = Arc::clone(&self.controller);
        let rehearsal = async move { controller.rehearse().await };
        let rehearsed = self.apart(rehearsal, self.limit()).await.ok_or(RunError::Absent)?;
        let items = rehearsed.map_err(|(_, error)| RunError::Rehearsal(error))?;
        items.map(Ran::Rehearsal).ok_or(RunError::NoRehearsal)
    }

    async fn obey(&self, next_at: &mut Time) -> Result<Ran, RunError> {
        match self.turn(true, next_at).await? {
            Turned::Ended(pass) => Ok(Ran::Pass(pass)),
            Turned::Held(holder) => Err(RunError::Held(holder)),
            Turned::Nothing => Err(RunError::Absent),
        }
    }

    /// Has a pass if it can, and says when to look again.
    async fn turn(&self, at_once: bool, next_at: &mut Time) -> Result<Turned, StoreError> {
        let Shared { store, clock, replica, .. } = &*self.shared;
        let (now, limit) = (clock.now(), self.limit());
        // Whatever comes of it, not at once again.
        *next_at = now + RETRY.min(self.interval);
        let turn = Turn {
            name: C::NAME,
            replica: replica.clone(),
            now,
            until: now + limit + SKEW,
            at_once,
        };
        match controllers::begin(store, turn).await? {
            Begin::Begun => {}
            Begin::NotDue(at) => {
                *next_at = at.min(now + self.interval);
                return Ok(Turned::Nothing);
            }
            Begin::Held(holder) => {
                *next_at = now + HELD.min(self.interval);
                return Ok(Turned::Held(holder));
            }
        }
        let metrics = self.shared.metrics.controllers();
        metrics.begun(C::NAME);
        let began = Instant::now();
        let controller = Arc::clone(&self.controller);
        let pass = async move { controller.pass().await };
        let Some(done) = self.apart(pass, limit).await else {
            metrics.given_up(C::NAME);
            controllers::give_up(store, C::NAME, replica.clone()).await?;
            return Ok(Turned::Nothing);
        };
        *next_at = self.after(&done, clock.now());
        let pass = self.passed(done);
        metrics.ended(C::NAME, &pass, began.elapsed());
        if !controllers::end(store, C::NAME, pass.clone(), *next_at).await? {
            tracing::warn!(controller = %C::NAME, "controller run lost its lease");
        }
        Ok(Turned::Ended(pass))
    }

    /// How long a pass may take.
    fn limit(&self) -> Duration {
        self.interval.max(LIMIT_MIN)
    }

    /// Does something in a task of its own, so that a panic ends nothing else; none when the host
    /// ends meanwhile.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
        limit: Duration,
    ) -> Option<Result<T, (PassResult, String)>> {
        let mut task = JoinSet::new();
        task.spawn(work);
        let ended = tokio::select! {
            () = self.shared.stop.cancelled() => None,
            ended = tokio::time::timeout(limit, task.join_next()) => Some(ended),
        };
        // Nothing of it goes on.
        task.shutdown().await;
        Some(match ended? {
            Err(_) => Err((PassResult::Timeout, format!("took longer than {limit:?}"))),
            Ok(Some(Ok(Ok(done)))) => Ok(done),
            Ok(Some(Ok(Err(error)))) => Err((PassResult::Error, chain(&*error))),
            Ok(Some(Err(error))) => Err((PassResult::Panic, error.to_string())),
            Ok(None) => Err((PassResult::Panic, "it has gone".to_owned())),
        })
    }

    fn after(&self, done: &Result<Done, (PassResult, String)>, now: Time) -> Time {
        let regular = now + self.interval;
        match done {
            Ok(done) => done.next_at.map_or(regular, |at| at.min(regular)),
            Err(_) => now + RETRY.min(self.interval),
        }
    }

    fn passed(&self, done: Result<Done, (PassResult, String)>) -> Pass {
        let Shared { clock, replica, .. } = &*self.shared;
        let (result, error, items) = match done {
            Ok(done) => (PassResult::Success, None, done.items),
            Err((result, error)) => (result, Some(error), Items::new()),
        };
        match &error {
            Some(error) => {
                tracing::error!(controller = %C::NAME, %result, error, "controller run failed")
            }
            None if items.is_empty() => {}
            None => {
                tracing::info!(controller = %C::NAME, ?items, "controller run changed something")
            }
        }
        Pass { at: clock.now(), replica: replica.clone(), result, error, items }
    }
}

/// What went wrong, and what led to it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
