//! How long a proof goes on: what it is about has no end of its own.

use std::time::Duration;

/// Where another budget can be set, in seconds.
const SECONDS: &str = "HILLOCK_PROOF_SECONDS";
const DEFAULT: Duration = Duration::from_secs(60);

/// How long each proof of this run goes on, about.
pub(crate) fn budget() -> Duration {
    let set = std::env::var(SECONDS).ok();
    let secs =
        set.map(|text| text.parse().unwrap_or_else(|_| panic!("{SECONDS}={text} is no number")));
    secs.map_or(DEFAULT, Duration::from_secs)
}
