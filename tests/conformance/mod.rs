//! The store, function by function, on both databases, at times of the tests' choosing.

mod activation;
mod cancel;
mod definitions;
mod fixture;
mod gatherings;
mod inbox;
mod keys;
mod leases;
mod limits;
mod logs;
mod pages;
mod queue;
mod retries;
mod runs;
mod source_states;
mod transitions;
mod writes;
