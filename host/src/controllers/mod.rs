//! The background loops that put stored state right, and their driver.
//!
//! Controllers proper take no input but the store, have one pass at a time over all replicas, and
//! can have one twice without harm. The other loops are each replica's own: they hand over what this
//! process has in memory. A signal makes one look at once; the interval is what a lost signal costs.

mod attendance;
mod audit_retention;
mod command_recovery;
mod definitions;
mod dispatch;
mod driver;
mod extensions;
mod gatherings;
mod grace;
mod hints;
mod inbox;
mod lifecycle;
mod looks;
mod observers;
mod retention;
mod run_recovery;
mod scheduler;
mod sessions;
mod supervisor;
mod timekeeping;
mod token_cleanup;
mod worker_health;

pub use attendance::attendance;
pub use audit_retention::{AUDIT_RETENTION_BATCH, AuditRetention, RemovedRows, audit_retention};
pub use command_recovery::{CommandRecovery, Recovered, recover};
pub use definitions::{Registrar, ReloadError, Reloaded, definitions};
pub use dispatch::dispatch;
pub use driver::{Controller, Controllers, Done, Driver, Failure, Ran, RunError};
pub use extensions::extensions;
pub use gatherings::gatherings;
pub use hints::hints;
pub use inbox::{Inbox, activate_accepted};
pub use lifecycle::lifecycle;
pub use observers::observers;
pub use retention::{Removed, Retention, retention};
pub use run_recovery::RunRecovery;
pub use scheduler::Scheduler;
pub use sessions::SessionReconciler;
pub use supervisor::supervised;
pub use timekeeping::{Timekeeping, put_right};
pub use token_cleanup::{Expired, TokenCleanup, token_cleanup};
pub use worker_health::WorkerHealth;
