//! The event that filters and templates look at. It stays in the host; each look is a host call.

pub use crate::bindings::filter::hillock::plugin::envelope::Event;
