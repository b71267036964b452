//! Hillock: signals come in, sandboxed components weigh them, and what fires becomes a durable run
//! that an agent carries out. `ARCHITECTURE.md` has the map.

pub mod activation;
pub mod admission;
pub mod api;
pub mod app;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controllers;
pub mod dispatch;
pub mod egress;
pub mod environment;
pub mod ingress;
pub mod metrics;
pub mod model;
pub mod pre_fire;
pub mod sandbox;
pub mod schedule;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod worker;
