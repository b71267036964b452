//! What a host was given in its environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::signal::Signal;

use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET, SECRET_VARIABLE};
use crate::harness::payloads::Payload;
use crate::harness::senders::{Delivery, github};
use crate::harness::wait;

const CONFIG: &str = r#"
    agents = [{ name = "agent" }]
    endpoints = [{ slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }]
"#;

/// Out of sight of root's programs too, and still there when the configuration is read again.
#[tokio::test]
async fn secrets_leave_the_environment_and_stay_known() {
    let folder = Folder::new(Database::sqlite(), CONFIG).await.env("LATER", SECRET);
    let host = folder.serve().await;
    let given = fs::read(format!("/proc/{}/environ", host.process.id())).unwrap_or_default();
    let given = String::from_utf8_lossy(&given).into_owned();
    for hidden in [SECRET, SECRET_VARIABLE, "LATER", "HILLOCK_STORE_URL"] {
        assert!(!given.contains(hidden), "{hidden}: {given}");
    }
    host.deliver("github", github(Payload::Ping, "first")).await.event_id(202);

    folder.write("hillock.toml", &CONFIG.replace(SECRET_VARIABLE, "LATER"));
    host.process.signal(Signal::SIGHUP);
    wait::until("the other variable to be taken", async || {
        let endpoint = host.read("endpoints/github").await;
        endpoint.to_string().contains("LATER").then_some(())
    })
    .await;
    host.deliver("github", github(Payload::Push, "second")).await.event_id(202);
    assert_eq!(host.deliver("github", Delivery::new(&[], b"{}")).await.status, 401);
}

/// Whatever the operator's umask is, and however an earlier version left them.
#[tokio::test]
async fn a_stores_files_are_its_owners_alone() {
    let folder = Folder::new(Database::sqlite(), "").await;
    let store = folder.store_url().strip_prefix("sqlite://").unwrap().to_owned();
    let modes = || {
        ["", "-wal", "-shm", ".lock"].map(|end| {
            fs::metadata(format!("{store}{end}")).map(|file| file.permissions().mode() & 0o777)
        })
    };
    let mut host = folder.serve().await;
    for mode in modes() {
        assert_eq!(mode.unwrap(), 0o600);
    }
    host.process.kill().await;
    for end in ["", "-wal", "-shm"] {
        fs::set_permissions(format!("{store}{end}"), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let mut host = folder.serve().await;
    for mode in modes() {
        assert_eq!(mode.unwrap(), 0o600);
    }
    let backup = folder.path().join("backup.db").display().to_string();
    let run = async |args: &[&str]| {
        let mut command = folder.hillock(args);
        let done = command.env("HILLOCK_STORE_URL", folder.store_url()).output().await.unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    };
    run(&["backup", &backup]).await;
    assert!(host.process.stop().await.success());
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    run(&["restore", &backup]).await;
    let beside = fs::read_dir(std::path::Path::new(&store).parent().unwrap()).unwrap().flatten();
    for file in beside {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}
