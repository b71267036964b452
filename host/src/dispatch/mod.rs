//! Dispatch: from a committed command to a worker, and from the worker's word back to the store.
//!
//! ```text
//!   store ── claim (lease, token) ──► hub ── run ──► worker
//!   store ◄── start, logs, finish ── link ◄── each with the token
//! ```
//! Nothing goes out before it is committed, and what comes back changes only what its token allows.
//! The hub knows who is connected here and now; what is queued, and who holds it, is in the store.

pub mod attendance;
pub mod exit;
pub mod hub;
pub mod limits;
pub mod link;
pub mod outbox;
pub mod poll;
pub mod protocol;
pub mod queue;
pub mod schema;
pub mod waiting;
