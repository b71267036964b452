//! The clock and the randomness that a guest sees: functions of the event alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng, TryRng};
use sha2::{Digest, Sha256};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::model::envelope::Envelope;
use crate::model::time::Time;

/// When a call takes place, as far as the guest can tell, and what its dice show.
#[derive(Debug)]
pub(super) struct GuestClock {
    at: Time,
    dice: ChaCha8Rng,
}

impl GuestClock {
    /// The moment of the event or request `id`, received `at`.
    pub(super) fn new(at: Time, id: &str) -> Self {
        Self { at, dice: ChaCha8Rng::from_seed(Sha256::digest(id.as_bytes()).into()) }
    }

    pub(super) fn of(envelope: &Envelope) -> Self {
        Self::new(envelope.event().received_at, envelope.event().id.as_str())
    }

    /// The moment of a definition's check, which is no event's.
    pub(super) fn of_a_check() -> Self {
        Self::new(Time::EPOCH, "check")
    }
}

/// An instance's view of the present moment: a clock that stands still, and dice.
#[derive(Clone, Debug)]
pub(super) struct Present(Arc<Mutex<GuestClock>>);

impl Present {
    pub(super) fn new(clock: GuestClock) -> Self {
        Self(Arc::new(Mutex::new(clock)))
    }

    /// The next call's moment.
    pub(super) fn set(&self, clock: GuestClock) {
        *self.lock() = clock;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GuestClock> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn since_epoch(&self) -> Duration {
        self.lock().at.since(Time::EPOCH)
    }
}

impl HostWallClock for Present {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }
    fn now(&self) -> Duration {
        self.since_epoch()
    }
}

impl HostMonotonicClock for Present {
    fn resolution(&self) -> u64 {
        1_000_000
    }
    fn now(&self) -> u64 {
        u64::try_from(self.since_epoch().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl TryRng for Present {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.lock().dice.next_u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.lock().dice.next_u64())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.lock().dice.fill_bytes(bytes);
        Ok(())
    }
}
