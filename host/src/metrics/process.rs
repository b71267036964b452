//! The process itself.

use super::book::Book;
use crate::clock::Clock;

/// Notes when this process started and which version it is.
pub(super) fn note(book: &mut Book) {
    let build =
        book.gauges("hillock_build_info", ["version"], "Always 1; says which version this is");
    build.set([env!("CARGO_PKG_VERSION")], 1.0);
    let start = book
        .seconds("process_start_time", "When this process began to measure, since the Unix epoch");
    let ms = u32::try_from(Clock.now().as_millis() / 1000).unwrap_or(u32::MAX);
    start.set(f64::from(ms));
}
