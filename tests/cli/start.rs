//! The order of a start: what costs nothing is looked at first, and nothing is changed before all of
//! the configuration is known to be right.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::contract_folder;
use crate::harness::folder::Folder;
use crate::harness::wait;

fn store(folder: &Folder) -> &Path {
    Path::new(folder.store_url().strip_prefix("sqlite://").unwrap())
}

/// A store of the first version.
async fn make_first_version(file: &Path) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/sqlite");
    let mut all = Migrator::new(scripts).await.unwrap();
    all.migrations.to_mut().truncate(1);
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    all.run_direct(None, &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
}

async fn version(file: &Path) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let select = "SELECT max(version) FROM _sqlx_migrations";
    sqlx::query(select).fetch_one(&mut connection).await.unwrap().get(0)
}

#[tokio::test]
async fn what_is_wrong_changes_no_table_and_compiles_nothing() {
    for (name, value, config, wanted) in [
        ("GITHUB_WEBHOOK_SECRET", "", "", "GITHUB_WEBHOOK_SECRET is not set"),
        ("X", "", "[egress]\nca_file = \"nowhere.pem\"\n", "nowhere.pem"),
        ("HILLOCK_STORE_URL", "sqlite://nowhere/h.db", "", "its folder is not there"),
    ] {
        let folder = contract_folder().await.env(name, value);
        fs::remove_dir_all(folder.data_dir().join("cache")).unwrap();
        let file = folder.read("hillock.toml").unwrap();
        folder.write("hillock.toml", &(file + config));
        make_first_version(store(&folder)).await;
        let mut command = folder.hillock(&["serve", "--config", "hillock.toml"]);
        command.env("HILLOCK_LISTEN", "127.0.0.1:0");
        if name != "HILLOCK_STORE_URL" {
            command.env("HILLOCK_STORE_URL", folder.store_url());
        }
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(wanted), "{said}");
        assert!(!said.contains("compiling") && !said.contains("up to date"), "{said}");
        assert_eq!(version(store(&folder)).await, 1);
    }
}

#[tokio::test]
async fn a_template_that_cannot_be_changes_no_table() {
    let folder = contract_folder().await;
    let file = folder.read("hillock.toml").unwrap();
    folder.write("hillock.toml", &file.replace("{{data.issue.title}}", "{{dta.x}}"));
    make_first_version(store(&folder)).await;
    let mut serving = folder.start("127.0.0.1:0");
    assert!(!serving.ended().await.success());
    assert!(serving.written().contains("triggers[0].prompt"), "{}", serving.written());
    assert_eq!(version(store(&folder)).await, 1);
}

#[tokio::test]
async fn tables_that_change_are_told_of_with_a_way_back() {
    let folder = contract_folder().await;
    make_first_version(store(&folder)).await;
    let host = folder.serve().await;
    let said = host.process.written();
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text}: {said}"));
    assert!(at("hillock backup FILE") < at("definitions: "), "{said}");
    assert!(version(store(&folder)).await > 1);
    // A new store has nothing to be kept.
    let fresh = contract_folder().await;
    let host = fresh.serve().await;
    assert!(!host.process.written().contains("hillock backup"), "{}", host.process.written());
}

/// Compiling takes seconds here, and up to a minute.
#[tokio::test]
async fn a_host_that_compiles_ends_when_it_is_told_to() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = contract_folder().await;
        fs::remove_dir_all(folder.data_dir().join("cache")).unwrap();
        let mut serving = folder.start("127.0.0.1:0");
        wait::until("the host to compile", async || {
            assert!(!serving.has_ended(), "the host has ended");
            serving.written().contains("compiling").then_some(())
        })
        .await;
        serving.signal(signal);
        let ended = tokio::time::timeout(Duration::from_secs(5), serving.ended()).await;
        assert!(ended.expect("it ends at once").success());
        assert!(!serving.written().contains("ready on"), "{}", serving.written());
        assert!(!store(&folder).exists(), "no store was made");
    }
}
