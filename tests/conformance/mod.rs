//! The store, function by function, on both databases, at times of the tests' choosing.

mod activation;
mod cancel;
mod fixture;
mod inbox;
mod keys;
mod leases;
mod logs;
mod pages;
mod queue;
mod runs;
mod transitions;
mod writes;
