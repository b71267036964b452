//! The real time, for extensions. All other components have the time of their event, by the
//! standard library's own clock.

pub use crate::bindings::extension::hillock::plugin::clock::now;
