//! The commands, as somebody types them: what they print, what they say when something is not
//! right, and how they end.

mod again;
mod client;
mod configuration;
mod definitions;
mod doctor;
mod errors;
mod filter;
mod firing;
mod help;
mod listings;
mod schedule;
mod short;
mod start;
mod streams;
mod template;
mod terminal;
mod waiting;
mod webhook;
mod workers;

use std::process::Output;

use crate::contract;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;

/// What a command wrote and how it ended.
#[derive(Debug)]
struct Said {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Said {
    fn json(&self) -> serde_json::Value {
        assert!(self.success, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Standard output of a command that did what it should.
    fn good(self) -> String {
        assert!(self.success, "{self:?}");
        self.stdout
    }

    /// Standard error of a command that failed.
    fn bad(self) -> String {
        assert!(!self.success && self.stdout.is_empty(), "{self:?}");
        self.stderr
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command in the folder of a running host.
async fn ask(folder: &Folder, host: &Host, args: &[&str]) -> Said {
    folder.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap().into()
}

/// Runs a command in a folder without a host.
async fn alone(folder: &Folder, args: &[&str]) -> Said {
    folder.hillock(args).output().await.unwrap().into()
}

async fn contract_folder() -> Folder {
    contract::folder(Database::sqlite()).await
}
