//! The event that filters and templates look at. It stays in the host; each look is a host call.
//!
//! Paths are written as [`crate::path`] says: `data.issue.labels.0.name`, and a key with dots in it in
//! brackets, `data.[app.io/name]` or `data["app.io/name"]`.

pub use crate::bindings::filter::hillock::plugin::envelope::Event;
