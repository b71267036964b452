//! The domain: types, parsing, validation and transitions.
//!
//! Everything here is pure. What comes from outside (JSON, TOML, rows, WIT records) becomes one of
//! these types once, at the edge; nothing here reads a clock, a file or a socket, and nothing here
//! knows the shape of a table or of an API answer.

pub mod activity;
pub mod audit;
pub mod bounds;
pub mod command;
pub mod content;
pub mod controller;
pub mod decision;
pub mod definition;
pub mod egress;
pub mod envelope;
pub mod fitness;
pub mod id;
pub mod input;
pub mod json;
pub mod merge_patch;
pub mod name;
pub mod near;
pub mod pause;
pub mod policy;
pub mod problem;
pub mod prompts;
pub mod queue;
pub mod redaction;
pub mod routing;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod scope;
pub mod secret;
pub mod session;
pub mod signature;
pub mod task;
pub mod text;
pub mod time;
pub mod trace;
pub mod turn;
pub mod visible;
mod words;
pub mod worker;
