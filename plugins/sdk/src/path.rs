//! How places in an event are written.

pub use hillock_path::{Malformed, push, segments};
