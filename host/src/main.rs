//! The program `hillock`.

use std::process::ExitCode;

use clap::Parser as _;
use hillock::cli::{self, Cli};
use hillock::environment;
use hillock::worker::keeper;

// Parsing JSON is mostly allocating, and every event is parsed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = keeper::asked() {
        return code;
    }
    // Before there are threads. Where it cannot be done, `worker::exposure` says what follows.
    let _ = environment::withdraw();
    begin()
}

#[tokio::main]
async fn begin() -> ExitCode {
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
