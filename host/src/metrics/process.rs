//! The process itself.

use super::book::{Book, seconds_of};
use crate::clock::Clock;

/// Notes when this process started and which version it is.
pub(super) fn note(book: &mut Book) {
    let build =
        book.gauges("hillock_build_info", ["version"], "Always 1; says which version this is");
    build.set([env!("CARGO_PKG_VERSION")], 1.0);
    let help = "When this process began to measure, since the Unix epoch";
    book.gauges_of_seconds("process_start_time", [], help).set([], seconds_of(Clock.now()));
}
