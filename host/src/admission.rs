//! How many commands may wait, of a workspace and of the whole host.
//!
//! Counting what waits takes time in proportion, and a cap is a bound on what the host takes upon
//! itself, no account. So a figure is kept in memory: what was counted, and what was let in since.
//! It is counted again when it is old, or says that there is no room; a count stops at the cap, and
//! counting never takes more than a twentieth of the time. Other replicas' commands, and those that
//! have gone out, are seen at the next count.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex as Held, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::config::QueueLimits;
use crate::model::scope::Scope;
use crate::store::{Store, StoreError, commands};

/// How long a count is good for.
const FRESH: Duration = Duration::from_secs(5);
/// How many times as long as it took a count stands, at least.
const REST: u32 = 20;

/// Why nothing more is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct QueueFull {
    /// Whose commands they are; none for the whole host.
    pub scope: Option<Scope>,
    /// How many may wait.
    pub max: u32,
}

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(f, "{} commands wait already ({scope})", self.max),
            None => write!(f, "{} commands wait already on this host", self.max),
        }
    }
}

/// Who says whether there is room.
#[derive(Clone, Debug)]
pub struct AdmissionControl {
    store: Store,
    limits: Arc<QueueLimits>,
    gauges: Arc<Held<Gauges>>,
}

/// The whole host's, and each scope's.
type Gauges = HashMap<Option<Scope>, Arc<Mutex<Gauge>>>;

/// What is known of how many wait.
#[derive(Debug, Default)]
struct Gauge {
    counted: u32,
    /// Let in since.
    added: u32,
    /// When, and how long it took.
    count: Option<(Instant, Duration)>,
}

impl AdmissionControl {
    /// The caps of this configuration.
    pub fn new(store: Store, limits: Arc<QueueLimits>) -> Self {
        Self { store, limits, gauges: Arc::default() }
    }

    /// Lets `more` commands of a workspace in, if there is room for all of them.
    ///
    /// # Errors
    /// When the store fails. That there is no room is the answer.
    pub async fn admit(
        &self,
        scope: &Scope,
        more: u32,
    ) -> Result<Result<(), QueueFull>, StoreError> {
        let room = self.room(scope, more).await?;
        if room.is_ok() {
            self.add(scope, more).await;
        }
        Ok(room)
    }

    /// Whether there is room for one more command of a workspace.
    ///
    /// # Errors
    /// When the store fails. That there is no room is the answer.
    pub async fn has_room(&self, scope: &Scope) -> Result<Result<(), QueueFull>, StoreError> {
        self.room(scope, 1).await
    }

    /// Notes commands of a workspace that nobody asked about before.
    pub async fn add(&self, scope: &Scope, more: u32) {
        for whose in [Some(scope.clone()), None] {
            let gauge = self.gauge(&whose);
            let mut gauge = gauge.lock().await;
            gauge.added = gauge.added.saturating_add(more);
        }
    }

    /// Gives a place back that was asked for, and not needed after all.
    pub async fn give_back(&self, scope: &Scope) {
        for whose in [Some(scope.clone()), None] {
            let gauge = self.gauge(&whose);
            let mut gauge = gauge.lock().await;
            gauge.added = gauge.added.saturating_sub(1);
        }
    }

    async fn room(&self, scope: &Scope, more: u32) -> Result<Result<(), QueueFull>, StoreError> {
        let caps = [
            (Some(scope.clone()), self.limits.pending_max(scope)),
            (None, self.limits.pending_max),
        ];
        for (whose, max) in caps {
            let gauge = self.gauge(&whose);
            let mut gauge = gauge.lock().await;
            if gauge.is_to_be_read(more, max) {
                gauge.read(&self.store, whose.as_ref(), max).await?;
            }
            if !gauge.has_room(more, max) {
                return Ok(Err(QueueFull { scope: whose, max }));
            }
        }
        Ok(Ok(()))
    }

    fn gauge(&self, whose: &Option<Scope>) -> Arc<Mutex<Gauge>> {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gauges.entry(whose.clone()).or_default())
    }
}

impl Gauge {
    fn has_room(&self, more: u32, max: u32) -> bool {
        self.counted.saturating_add(self.added).saturating_add(more) <= max
    }

    fn is_to_be_read(&self, more: u32, max: u32) -> bool {
        let Some((at, took)) = self.count else { return true };
        let (age, rest) = (at.elapsed(), took * REST);
        age >= rest && (age >= FRESH || !self.has_room(more, max))
    }

    async fn read(
        &mut self,
        store: &Store,
        whose: Option<&Scope>,
        max: u32,
    ) -> Result<(), StoreError> {
        let begin = Instant::now();
        self.counted = commands::waiting(store, whose, max).await?;
        self.added = 0;
        self.count = Some((Instant::now(), begin.elapsed()));
        Ok(())
    }
}
