//! The proofs: what the host promises, held against it under fire, by a seed and for as long as they
//! are given (`HILLOCK_PROOF_SECONDS` each, 60 by default; the kills of `crash` are counted instead); a
//! ledger says what was tried. They take all of a machine, and run one after the other, after the other
//! tests: `tests/run --all`.
//!
//! ```text
//! chaos         hosts, workers and the database killed, stopped and cut off, under load
//! crash         kill -9 under load, and the ledger afterwards
//! simulation    all who act on a store, by one seed, and the invariants after every operation
//! soak          workers killed, frozen and stopped at work, and what their programs recorded
//! unruly        workers that die, hang, come back late or lie, and the ledger afterwards
//! ```

mod chaos;
mod crash;
#[allow(dead_code, reason = "the other tests need the rest")]
mod harness;
mod simulation;
mod soak;
mod unruly;
