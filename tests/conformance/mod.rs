//! The store, function by function, on both databases, at times of the tests' choosing.

mod activation;
mod activity;
mod approval;
mod bounds;
mod breaker;
mod cancel;
mod definitions;
mod fixture;
mod gatherings;
mod inbox;
mod keys;
mod leases;
mod limits;
mod logs;
mod order;
mod pages;
mod places;
mod queue;
mod recovery;
mod retries;
mod run_events;
mod runs;
mod source_states;
mod transitions;
mod workers;
mod writes;
