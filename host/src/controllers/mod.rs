//! The background loops that put stored state right.
//!
//! Each takes no input but the store, can be run twice without harm, and goes on after an error.
//! A signal makes one run at once; the interval is what a lost signal costs.

mod command_recovery;
mod definitions;
mod dispatch;
mod extensions;
mod gatherings;
mod hints;
mod inbox;
mod leases;
mod lifecycle;
mod looks;
mod observers;
mod scheduler;
mod sessions;
mod worker_health;

pub use command_recovery::{Recovered, command_recovery, recover};
pub use definitions::{Registrar, ReloadError, Reloaded, definitions};
pub use dispatch::dispatch;
pub use extensions::extensions;
pub use gatherings::gatherings;
pub use hints::hints;
pub use inbox::inbox;
pub use leases::leases;
pub use lifecycle::lifecycle;
pub use observers::observers;
pub use scheduler::scheduler;
pub use sessions::{SESSIONS_INTERVAL, sessions};
pub use worker_health::worker_health;
