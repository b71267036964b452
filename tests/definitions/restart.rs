//! What stays over a restart: identifiers, and with them all that is kept of a definition.

use super::{OPEN, create, decided, decisions, trigger};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::on_both_databases;

on_both_databases!(identifiers_and_history_stay);

async fn identifiers_and_history_stay(database: Database) {
    let config = format!(
        "{OPEN}\ntriggers = [{{ name = \"declared\", event = \"webhook\", agent = \"a\", \
         prompt = \"x\", fire_limit = \"none\" }}]"
    );
    let folder = Folder::new(database, &config).await;
    let mut host = folder.serve().await;
    create(&host, "triggers", &trigger("made")).await;
    let both = decided(&[("declared", "fired"), ("made", "fired")]);
    assert_eq!(decisions(&host, "open").await, both);
    let shown = [host.read("triggers/declared").await, host.read("triggers/made").await];
    assert!(host.process.stop().await.success());

    // Gone for a while, and back.
    folder.write("hillock.toml", OPEN);
    let mut host = folder.serve().await;
    assert_eq!(decisions(&host, "open").await, decided(&[("made", "fired")]));
    // Nobody has the name now; what it had done is the identifier's.
    let named = host.read("runs?trigger=declared").await;
    assert!(named["items"].as_array().unwrap().is_empty(), "{named}");
    assert!(named["note"].as_str().unwrap().contains("no trigger is called"), "{named}");
    let path = format!("runs?trigger={}", shown[0]["id"].as_str().unwrap());
    assert_eq!(host.read(&path).await["items"].as_array().unwrap().len(), 1);
    assert!(host.process.stop().await.success());
    folder.write("hillock.toml", &config);
    let host = folder.serve().await;
    let said = host.process.written();
    assert!(said.contains("definitions: 1 created, 0 updated, 2 unchanged, 0 deleted"), "{said}");
    assert_eq!(host.read("triggers/declared").await["id"], shown[0]["id"]);
    let mut made = host.read("triggers/made").await;
    made["last_fired_at"] = shown[1]["last_fired_at"].clone();
    assert_eq!(made, shown[1], "but for when it last fired");
    let mut names: Vec<_> = decisions(&host, "open").await;
    names.sort();
    assert_eq!(names, both);
    let runs = host.items("runs").await;
    let of = |name: &str| -> Vec<String> {
        let own = runs.iter().filter(|run| run["trigger"] == name);
        own.map(|run| run["trigger_id"].as_str().unwrap().to_owned()).collect()
    };
    let id = |shown: &serde_json::Value| shown["id"].as_str().unwrap().to_owned();
    assert_eq!(of("declared"), vec![id(&shown[0]); 2]);
    assert_eq!(of("made"), vec![id(&shown[1]); 3]);
}
