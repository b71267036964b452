//! What observers and extensions remember from one call to the next.
//!
//! The host keeps it for the one definition that the component works for, and keeps what a call
//! changed only when the call has succeeded. 64 keys of at most 128 bytes, values of at most
//! 16 KiB, 256 KiB altogether; what is over a limit ends the call.

pub use crate::bindings::observer::hillock::plugin::state::{get, remove, set};
