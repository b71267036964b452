//! A host in operation: what its service manager is told, restarts under load, a disk that is full,
//! and addresses that are short.

mod addresses;
mod disk;
mod rolling;
mod service;
