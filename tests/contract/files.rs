//! What a host leaves on disk, and who can read it.

use std::os::unix::fs::PermissionsExt as _;

use super::folder;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::on_both_databases;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

on_both_databases!(the_admin_key_is_for_its_owner_only, secrets_stay_secret);

async fn the_admin_key_is_for_its_owner_only(database: Database) {
    let folder = folder(database).await;
    let host = folder.serve().await;
    assert!(host.key.starts_with("hlk_"), "a key has its prefix");
    let key = folder.data_dir().join("admin.key");
    for (path, mode) in [(key, 0o600), (folder.data_dir(), 0o700)] {
        let found = path.metadata().unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{}", path.display());
    }
    let written = folder.read("serve.log").unwrap();
    assert!(written.contains("admin.key"), "a first start says where the key is: {written}");
}

/// Neither the log nor any answer has the secret or the key; at the default level, the log has no
/// prompt either.
async fn secrets_stay_secret(database: Database) {
    let folder: Folder = folder(database).await;
    let host = folder.serve().await;
    let id = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let bad = github(Payload::IssueClosed, "d-2").without("x-hub-signature-256");
    host.deliver("github", bad).await;
    let run = host.run_of(&id).await;
    host.run_with_status(&run, "completed").await;

    let mut texts = vec![folder.read("serve.log").unwrap()];
    for path in
        [format!("events/{id}"), "events".to_owned(), format!("runs/{run}"), "triggers".to_owned()]
    {
        texts.push(host.get(&path).await.body);
    }
    assert!(texts[0].lines().count() > 1, "the host says something of what it does");
    for text in &texts {
        assert!(!text.contains(SECRET) && !text.contains(&host.key), "{text}");
    }
    assert!(!texts[0].contains("Triage issue"), "{}", texts[0]);
}
