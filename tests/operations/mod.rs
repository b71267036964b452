//! A host in operation: what its service manager is told, restarts under load, and a disk that is
//! full.

mod disk;
mod rolling;
mod service;
