//! The contract: what a folder with one `hillock.toml` does, by the built program, on both
//! databases.

mod answers;
mod delivery;
mod expressions;
mod files;
mod json;
mod methods;
mod outage;
mod parameters;
mod prompts;
mod scopes;
mod stopping;

pub(crate) use crate::harness::contract::{CONFIG, folder, folder_without_limit};
