//! The components that come with the host, built from `plugins/` by the build script.

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));
