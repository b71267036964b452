//! The integration tests: every store function on both databases, the built program from outside,
//! components and clients that misbehave, crashes, and the import directions.
//!
//! ```text
//! activation    what triggers make of events: guards, filters, hooks, limits, bursts and batches
//! conformance   the store, through the library, with times of the test's choosing
//! contract      what a folder with one hillock.toml does, through the program
//! providers     what each sender signs, and how it is refused
//! hostile       components that loop, grow, overflow, crash, leak and forge
//! sandbox       hooks, observers, extensions and pre-fire hooks, through the library
//! scheduler     jobs: their slots, misfires, overlaps, limits, rivals
//! sources       extensions and observers, through the program: feeds, files, queues, runs
//! slow          clients that send too slowly, or nothing
//! runs          retries, and the life of runs as events
//! worker        a worker of its own: logs, cancel, drain, loss
//! crash         kill -9 under load, and the ledger afterwards
//! definitions   made, changed and removed while a host runs; configuration read again
//! cli           the commands, what they print and how they fail
//! imports       who imports whom
//! readme        what the README shows
//! ```
//! PostgreSQL comes from `tests/run`, by `HILLOCK_TEST_POSTGRES`. Nothing here waits for time to
//! pass: a test waits for a state that can be seen, up to a deadline.

mod activation;
mod cli;
mod conformance;
mod contract;
mod crash;
mod definitions;
mod harness;
mod hostile;
mod imports;
mod providers;
mod readme;
mod runs;
mod sandbox;
mod scheduler;
mod slow;
mod sources;
mod worker;
