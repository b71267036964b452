//! Observers of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::{data, state_where, texts, worked};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::wait;

const PAGES: &str = "observers/pages";
const CONFIG: &str = r#"
[[observers]]
name = "pages"
watch = "files"
folders = ["inbox"]
debounce = "500ms"
"#;

/// The kinds and paths of all events so far.
async fn told(host: &Host) -> Vec<(String, String)> {
    let data = data(host, "pages").await;
    let (kinds, paths) = (texts(&data, "/kind"), texts(&data, "/data/path"));
    let pairs = kinds.into_iter().zip(paths);
    pairs.map(|(kind, path)| (kind.to_owned(), path.to_owned())).collect()
}

/// Waits until there is an event of this path, and so of all that came before it.
async fn told_of(host: &Host, path: &str) {
    wait::until(&format!("an event of {path}"), async || {
        told(host).await.iter().any(|(_, told)| told == path).then_some(())
    })
    .await;
}

fn is(kind: &str, path: &str) -> (String, String) {
    (kind.to_owned(), path.to_owned())
}

/// A host that watches the folder's `inbox`.
async fn watching(folder: &Folder) -> Host {
    let host = folder.serve().await;
    worked(&host, PAGES, &Value::Null).await;
    host
}

fn inbox(folder: &Folder, name: &str) -> std::path::PathBuf {
    folder.path().join("inbox").join(name)
}

async fn with_inbox() -> Folder {
    let folder = Folder::new(Database::sqlite(), CONFIG).await;
    fs::create_dir(inbox(&folder, "")).unwrap();
    folder
}

#[tokio::test]
async fn each_change_of_a_file_is_one_event() {
    let folder = with_inbox().await;
    fs::write(inbox(&folder, "old"), "there before").unwrap();
    let host = watching(&folder).await;

    fs::write(inbox(&folder, "a"), "one").unwrap();
    fs::write(inbox(&folder, "a"), "one and a half").unwrap();
    fs::write(inbox(&folder, "passing"), "").unwrap();
    fs::remove_file(inbox(&folder, "passing")).unwrap();
    told_of(&host, "a").await;
    fs::write(inbox(&folder, "a"), "two").unwrap();
    fs::rename(inbox(&folder, "old"), inbox(&folder, "new")).unwrap();
    told_of(&host, "new").await;
    fs::create_dir_all(inbox(&folder, "deep/er")).unwrap();
    fs::write(inbox(&folder, "deep/er/b"), "").unwrap();
    told_of(&host, "deep/er/b").await;
    fs::remove_dir_all(inbox(&folder, "deep")).unwrap();
    fs::write(inbox(&folder, "end"), "").unwrap();
    told_of(&host, "end").await;

    let mut told = told(&host).await;
    // What happens at the same time has no order but removed before created before modified.
    told[1..4].sort();
    told[5..].sort();
    assert_eq!(
        told,
        [
            is("file.created", "a"),
            is("file.created", "new"),
            is("file.modified", "a"),
            is("file.removed", "old"),
            is("file.created", "deep/er/b"),
            is("file.created", "end"),
            is("file.removed", "deep/er/b"),
        ]
    );
    let data = data(&host, "pages").await;
    let first = &data[0];
    assert_eq!((&first["source"], &first["depth"]), (&"observer".into(), &0.into()));
    assert_eq!(first["data"]["bytes"], 14);
    assert_eq!(first["data"]["folder"], folder.path().join("inbox").to_str().unwrap());
    assert!(first["data"]["modified_at"].is_string(), "{first}");
}

#[tokio::test]
async fn a_burst_is_one_event_for_each_file() {
    // However slow the machine is, the burst is shorter.
    let config = CONFIG.replace("500ms", "5s");
    let folder = Folder::new(Database::sqlite(), &config).await;
    fs::create_dir(inbox(&folder, "")).unwrap();
    let host = watching(&folder).await;
    for round in ["one", "two"] {
        for i in 0..300 {
            fs::write(inbox(&folder, &format!("{i:03}")), round).unwrap();
        }
    }
    fs::write(inbox(&folder, "end"), "").unwrap();
    told_of(&host, "end").await;
    let mut told = told(&host).await;
    told.sort();
    let names = (0..300).map(|i| format!("{i:03}")).chain(["end".to_owned()]);
    let wanted: Vec<_> = names.map(|name| is("file.created", &name)).collect();
    assert_eq!(told, wanted);
}

#[tokio::test]
async fn nothing_outside_is_told_of() {
    let folder = with_inbox().await;
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, inbox(&folder, "before")).unwrap();
    let host = watching(&folder).await;
    symlink(&outside, inbox(&folder, "after")).unwrap();
    for path in ["outside/a", "inbox/before/b", "inbox/after/c", "inbox-too"] {
        fs::write(folder.path().join(path), "").unwrap();
    }
    symlink(outside.join("a"), inbox(&folder, "link")).unwrap();
    fs::write(inbox(&folder, "end"), "").unwrap();
    told_of(&host, "end").await;
    assert_eq!(told(&host).await, [is("file.created", "end")]);
}

#[tokio::test]
async fn a_missing_folder_is_an_error_until_it_is_there() {
    let folder = Folder::new(Database::sqlite(), CONFIG).await;
    let host = watching(&folder).await;
    let missing = |now: &Value| now["last_error"].as_str().is_some_and(|e| e.contains("/inbox: "));
    let begun = state_where(&host, PAGES, "to miss its folder", missing).await;
    assert_eq!(begun["failures"], 1);

    let there = |now: &Value| now["last_error"].is_null() && now["failures"] == 0;
    fs::create_dir(inbox(&folder, "")).unwrap();
    state_where(&host, PAGES, "to have its folder", there).await;
    fs::write(inbox(&folder, "a"), "").unwrap();
    told_of(&host, "a").await;

    fs::remove_dir_all(inbox(&folder, "")).unwrap();
    state_where(&host, PAGES, "to miss its folder again", missing).await;
    fs::create_dir(inbox(&folder, "")).unwrap();
    fs::write(inbox(&folder, "b"), "").unwrap();
    told_of(&host, "b").await;
    let wanted = [is("file.created", "a"), is("file.removed", "a"), is("file.created", "b")];
    assert_eq!(told(&host).await, wanted);
    state_where(&host, PAGES, "to have its folder again", there).await;
}

#[tokio::test]
async fn another_folder_in_its_place_is_watched() {
    let folder = with_inbox().await;
    fs::write(inbox(&folder, "a"), "").unwrap();
    let host = watching(&folder).await;
    fs::rename(inbox(&folder, ""), folder.path().join("away")).unwrap();
    fs::create_dir(inbox(&folder, "")).unwrap();
    told_of(&host, "a").await;
    fs::write(Path::new(&folder.path().join("away/x")), "").unwrap();
    fs::write(inbox(&folder, "b"), "").unwrap();
    told_of(&host, "b").await;
    assert_eq!(told(&host).await, [is("file.removed", "a"), is("file.created", "b")]);
}

#[tokio::test]
async fn what_an_observer_is_told_of_changes_with_its_definition() {
    let folder = with_inbox().await;
    let host = watching(&folder).await;
    folder.write("hillock.toml", &format!("{CONFIG}config = {{ match = \"*.md\" }}\n"));
    assert_eq!(host.post("config/reload").await.status, 200);
    fs::write(inbox(&folder, "a.txt"), "").unwrap();
    fs::write(inbox(&folder, "b.md"), "").unwrap();
    told_of(&host, "b.md").await;
    assert_eq!(told(&host).await, [is("file.created", "b.md")]);
}
