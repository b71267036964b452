//! The program `hillock`.

use std::process::ExitCode;

use clap::Parser as _;
use hillock::cli::{self, Cli};
use hillock::environment;
use hillock::worker::keeper;
use tokio::runtime::Runtime;

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

fn begin() -> ExitCode {
    // One TLS for the store, the API's clients and workers. Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::output::usage(&error),
    };
    let done = Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let done = runtime.block_on(cli::main(cli));
        // What still computes, such as a compiler, does so for nobody.
        runtime.shutdown_background();
        done
    });
    done.unwrap_or_else(|error| {
        cli::output::remark(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
