//! Hillock: signals come in, sandboxed components weigh them, and what fires becomes a durable run
//! that an agent carries out. `ARCHITECTURE.md` has the map.

pub mod clock;
pub mod config;
pub mod model;
pub mod sandbox;
pub mod store;
