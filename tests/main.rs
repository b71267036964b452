//! The integration tests: every store function on both databases, the built program from outside,
//! components and clients that misbehave, and the import directions. `proof.rs` has those that go on
//! for as long as they are given.
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
//! queue         caps, approval, expiry, and why commands wait, through the program
//! runs          retries, and the life of runs as events
//! dispatch      sockets and polls, what is put back, other replicas, the messages' schema
//! tasks         tasks, sessions and run input, in the store and through the program
//! isolation     hostile programs, what a killed worker leaves, whose files are whose
//! worker        a worker of its own: logs, cancel, drain, loss
//! workers       as a host knows them: joining, approval, health, being sent away
//! controllers   the background loops: their driver, orders, several replicas
//! backup        copies of a store while a host serves, putting them back, what is gone
//! audit         every change of every route leaves its row, and what those rows say
//! definitions   made, changed and removed while a host runs; configuration read again
//! logs          what runs say: streams, cursors, limits, redaction, and following them
//! operations    service managers, rolling restarts, a full disk
//! metrics       what a host tells of itself, and what tools make of it
//! cli           the commands, what they print and how they fail
//! imports       who imports whom
//! readme        what the README shows
//! ```
//! PostgreSQL comes from `tests/run`, by `HILLOCK_TEST_POSTGRES`. Nothing here waits for time to
//! pass: a test waits for a state that can be seen, up to a deadline.

mod activation;
mod audit;
mod backup;
mod cli;
mod conformance;
mod contract;
mod controllers;
mod definitions;
mod dispatch;
#[allow(dead_code, reason = "the proofs need the rest")]
mod harness;
mod hostile;
mod imports;
mod isolation;
mod logs;
mod metrics;
mod operations;
mod providers;
mod queue;
mod readme;
mod runs;
mod sandbox;
mod scheduler;
mod slow;
mod sources;
mod tasks;
mod worker;
mod workers;
