//! Lines for the operator's log, one function a level.
//!
//! The host limits how many and how long; what is over the limit ends the call. Never log what a
//! sender could have put a secret into.

use crate::bindings::source::hillock::plugin::log::{Level, write};

/// Only of use to the plugin's author.
pub fn debug(line: &str) {
    write(Level::Debug, line);
}

/// Worth knowing.
pub fn info(line: &str) {
    write(Level::Info, line);
}

/// Something looks wrong; the call goes on.
pub fn warn(line: &str) {
    write(Level::Warn, line);
}

/// Something is wrong.
pub fn error(line: &str) {
    write(Level::Error, line);
}
