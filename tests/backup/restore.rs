//! Putting a backup back, and what is not put back.

use std::fs;

use super::{done, folder, refused, store};
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::payloads::issue;
use crate::harness::senders::{Delivery, github_signed};

fn issue_delivery(number: u64) -> Delivery {
    github_signed(SECRET, "issues", &format!("d-{number}"), &issue(number))
}

/// A folder whose host has been, with a backup of its one event.
async fn backed_up() -> (Folder, String) {
    let folder = folder().await;
    let mut host = folder.serve().await;
    let event = host.deliver("github", issue_delivery(1)).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    done(&folder, &["backup", "b.db", "--json"]).await;
    assert!(host.process.stop().await.success());
    (folder, event)
}

/// What is beside the store, by the ends of the names.
fn beside(folder: &Folder) -> Vec<String> {
    let store = store(folder);
    let name = store.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(store.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            Some(entry.unwrap().file_name().to_str()?.strip_prefix(name)?.to_owned())
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_is_as_it_was() {
    let (folder, before) = backed_up().await;
    let mut host = folder.serve().await;
    let later = host.deliver("github", issue_delivery(2)).await.event_id(202);
    let said = refused(&folder, &["restore", "b.db"]).await;
    assert!(said.contains("a host has the store") && said.contains("stop it first"), "{said}");
    // Its log is left behind, and must not become the new store's.
    host.process.kill().await;
    let said = done(&folder, &["restore", "b.db", "--json"]).await;
    assert_eq!(said["events"], 1);
    let kept = said["kept"].as_str().unwrap();
    assert!(kept.contains(".before-restore-2"), "{kept}");
    assert_eq!(beside(&folder).len(), 3, "store, lock and the old one: {:?}", beside(&folder));

    let mut host = folder.serve().await;
    assert_eq!(host.get(&format!("events/{before}")).await.status, 200);
    assert_eq!(host.get(&format!("events/{later}")).await.status, 404);
    // What came after the backup comes again, and is new.
    let again = host.deliver("github", issue_delivery(2)).await.event_id(202);
    host.run_with_status(&host.run_of(&again).await, "completed").await;
    assert!(host.process.stop().await.success());

    // The old one is whole: it can be put back likewise.
    let said = done(&folder, &["restore", kept, "--json"]).await;
    assert_eq!(said["events"], 2);
    assert_eq!(folder.serve().await.get(&format!("events/{later}")).await.status, 200);
}

#[tokio::test]
async fn what_is_no_whole_store_of_this_version_changes_nothing() {
    let (folder, event) = backed_up().await;
    let backup = folder.path().join("b.db");
    let whole = fs::read(&backup).unwrap();
    let before = fs::read(store(&folder)).unwrap();

    fs::write(folder.path().join("cut.db"), &whole[..whole.len() / 2]).unwrap();
    let mut scratched = whole.clone();
    let third = scratched.len() / 3;
    scratched[third..third + 8192].fill(0x5a);
    fs::write(folder.path().join("scratched.db"), scratched).unwrap();
    folder.write("text.db", "not at all");
    folder.write("empty.db", "");
    fs::write(folder.path().join("live.db"), &whole).unwrap();
    folder.write("live.db-wal", "some");
    let foreign = Database::sqlite();
    let foreign_path = foreign.url().strip_prefix("sqlite://").unwrap().to_owned();
    fs::write(&foreign_path, "").unwrap();
    foreign.execute("CREATE TABLE events (id TEXT)").await;
    let newer = newer(&whole).await;
    let newer_path = newer.url().strip_prefix("sqlite://").unwrap().to_owned();

    for (file, wanted) in [
        ("cut.db", "it is damaged"),
        ("scratched.db", "it is damaged"),
        ("text.db", "not a Hillock store"),
        ("empty.db", "not a Hillock store"),
        ("live.db", "a write-ahead log lies beside it"),
        ("none.db", "No such file"),
        (foreign_path.as_str(), "not a Hillock store"),
        (newer_path.as_str(), "made by a newer version of Hillock: its tables are of version 9999"),
    ] {
        let said = refused(&folder, &["restore", file]).await;
        assert!(said.contains(wanted), "{file}: {said}");
    }
    assert!(
        beside(&folder).iter().all(|end| !end.contains("before-restore")),
        "{:?}",
        beside(&folder)
    );
    assert!(fs::read(store(&folder)).unwrap() == before, "the store is as it was");
    assert_eq!(folder.serve().await.get(&format!("events/{event}")).await.status, 200);
}

/// The same store, as a later version would leave it.
async fn newer(whole: &[u8]) -> Database {
    let database = Database::sqlite();
    fs::write(database.url().strip_prefix("sqlite://").unwrap(), whole).unwrap();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (9999, 'later', 1, x'00', 0)";
    database.execute(later).await;
    database
}

/// A store that cannot be read any more, which is what backups are for.
#[tokio::test]
async fn a_broken_store_is_replaced_and_kept() {
    let (folder, event) = backed_up().await;
    fs::write(store(&folder), "broken").unwrap();
    let said = done(&folder, &["restore", "b.db", "--json"]).await;
    assert_eq!(fs::read_to_string(said["kept"].as_str().unwrap()).unwrap(), "broken");
    assert_eq!(folder.serve().await.get(&format!("events/{event}")).await.status, 200);
}
