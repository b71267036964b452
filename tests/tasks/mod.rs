//! Tasks, sessions and run input: the store's rules at times of the tests' choosing, and the
//! program with real agents behind it.

mod api;
mod fixture;
mod follow;
mod inputs;
mod make;
mod program;
mod reconcile;
mod retention;
