//! The seed of a test that throws dice.

/// Where a seed can be set, to repeat a run.
const SEED: &str = "HILLOCK_TEST_SEED";

/// The seed that is set, or a new one; printed, so that it can be set.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(super::senders::now);
    println!("{SEED}={seed}");
    seed
}
