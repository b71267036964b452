//! Copying a store while hosts write to it.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use super::{done, folder, refused, run};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::load::{Load, Senders};
use crate::harness::wait;

/// Everything that was answered before the backup began is in it, and a host starts on it.
#[tokio::test]
async fn under_load() {
    let folder = folder().await;
    let host = folder.serve().await;
    let senders = Senders::start(&host, Load::FLOOD);
    wait::until("deliveries", async || (senders.accepted().len() >= 1000).then_some(())).await;
    let before = senders.accepted();
    let said = done(&folder, &["backup", "b.db", "--json"]).await;
    let after = senders.stop().await;
    assert!(after.len() > before.len(), "they went on meanwhile");
    assert!(said["events"].as_u64().unwrap() >= before.len() as u64, "{said}");
    let file = folder.path().join("b.db");
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(said["bytes"], metadata.len());
    drop(host);

    let elsewhere = super::folder().await;
    done(&elsewhere, &["restore", file.to_str().unwrap(), "--json"]).await;
    let host = elsewhere.serve().await;
    let there: BTreeSet<String> =
        host.items("events").await.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<_> = before.values().filter(|id| !there.contains(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn a_file_that_is_there_stays_unless_forced() {
    let folder = folder().await;
    let missing = refused(&folder, &["backup", "b.db"]).await;
    assert!(missing.starts_with("error: there is no store at "), "{missing}");
    drop(folder.serve().await);

    folder.write("b.db", "mine");
    let said = refused(&folder, &["backup", "b.db"]).await;
    assert_eq!(said, "error: b.db exists: --force replaces it\n");
    assert_eq!(folder.read("b.db").unwrap(), "mine");
    done(&folder, &["backup", "b.db", "--force", "--json"]).await;
    assert!(folder.path().join("b.db").metadata().unwrap().len() > 10_000);

    let own = super::store(&folder).to_str().unwrap();
    let said = refused(&folder, &["backup", own, "--force"]).await;
    assert!(said.contains("is the store itself"), "{said}");
    let said = refused(&folder, &["backup", "no/such/folder/b.db"]).await;
    assert!(said.starts_with("error: cannot write to no/such/folder"), "{said}");

    let output = run(&folder, &["backup", "people.db"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("people.db") && text.contains("definitions"), "{text}");
    let aside = String::from_utf8(output.stderr).unwrap();
    assert!(aside.contains("admin.key") && aside.contains("secrets"), "{aside}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".tmp")), "{left:?}");
}

#[tokio::test]
async fn a_store_on_postgresql_has_a_tool_of_its_own() {
    let folder = Folder::new(Database::sqlite(), "").await;
    let url = "postgres://me:hunter2@db.example/hillock";
    for (args, tool) in [(["backup", "b.db"], "pg_dump"), (["restore", "b.db"], "pg_restore")] {
        let output = folder.hillock(&args).env("HILLOCK_STORE_URL", url).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(tool), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
