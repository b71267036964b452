//! The background loops that put stored state right.
//!
//! Each takes no input but the store, can be run twice without harm, and goes on after an error.
//! A signal makes one run at once; the interval is what a lost signal costs.

mod definitions;
mod dispatch;
mod extensions;
mod gatherings;
mod inbox;
mod leases;
mod lifecycle;
mod looks;
mod observers;
mod scheduler;

pub use definitions::{Registrar, ReloadError, Reloaded, definitions};
pub use dispatch::dispatch;
pub use extensions::extensions;
pub use gatherings::gatherings;
pub use inbox::inbox;
pub use leases::leases;
pub use lifecycle::lifecycle;
pub use observers::observers;
pub use scheduler::scheduler;
