//! Backups of a host that serves, and putting them back; and what a host says of what is gone.

mod copy;
mod gone;
mod restore;

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::contract;
use crate::harness::database::Database;
use crate::harness::folder::Folder;

async fn folder() -> Folder {
    contract::folder_without_limit(Database::sqlite()).await
}

/// Where the store is.
fn store(folder: &Folder) -> &Path {
    Path::new(folder.store_url().strip_prefix("sqlite://").unwrap())
}

async fn run(folder: &Folder, args: &[&str]) -> Output {
    folder.hillock(args).env("HILLOCK_STORE_URL", folder.store_url()).output().await.unwrap()
}

/// The JSON that a command prints which does what it should.
async fn done(folder: &Folder, args: &[&str]) -> Value {
    let output = run(folder, args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {output:?}"))
}

/// What a command says which fails, and prints nothing.
async fn refused(folder: &Folder, args: &[&str]) -> String {
    let output = run(folder, args).await;
    assert!(!output.status.success() && output.stdout.is_empty(), "{args:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}
