//! The program `hillock`.

use std::process::ExitCode;

use clap::Parser as _;
use hillock::cli::{self, Cli};

// Parsing JSON is mostly allocating, and every event is parsed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // One TLS for the store, the API's clients and workers. Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::main(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
