//! The background loops that put stored state right.
//!
//! Each takes no input but the store, can be run twice without harm, and goes on after an error.
//! A signal makes one run at once; the interval is what a lost signal costs.

mod dispatch;
mod inbox;
mod leases;

pub use dispatch::dispatch;
pub use inbox::inbox;
pub use leases::leases;
