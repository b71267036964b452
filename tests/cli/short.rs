//! Identifiers by their beginning, and tables that fit a terminal.

use super::terminal::on_a_terminal;
use super::{ask, contract_folder};
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

/// The width of a terminal that does not say how wide it is.
const WIDTH: usize = 80;

#[tokio::test]
async fn a_beginning_says_which_is_meant() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    host.deliver("github", github(Payload::IssueClosed, "d-2")).await.event_id(202);
    let run = host.run_of(&event).await;
    let create = ["task", "create", "x", "--agent", "triager", "--json"];
    let task = ask(&folder, &host, &create).await.json()["id"].as_str().unwrap().to_owned();
    let run = host.run_with_status(&run, "completed").await["id"].as_str().unwrap().to_owned();
    for (noun, id) in [("event", &event), ("run", &run), ("task", &task)] {
        let beginning = &id[..id.len() - 8];
        let shown = ask(&folder, &host, &[noun, "show", beginning]).await.good();
        assert!(shown.contains(id.as_str()), "{noun}: {shown}");
    }
    let logs = ask(&folder, &host, &["run", "logs", &run[..30]]).await.good();
    assert!(logs.ends_with("triaged\n"), "{logs}");
    for (beginning, wanted) in [
        (&event[.."evt_".len() + 4], "more than one identifier begins with"),
        ("evt_ffffffff", "no identifier begins with evt_ffffffff"),
        ("evt_ff", "not an identifier"),
    ] {
        let said = ask(&folder, &host, &["event", "show", beginning]).await.bad();
        assert!(said.contains(wanted), "{beginning}: {said}");
    }
    // Another workspace's is none.
    let elsewhere = ["event", "show", &event[..30], "--workspace", "acme"];
    let said = ask(&folder, &host, &elsewhere).await.bad();
    assert!(said.contains("no identifier begins with"), "{said}");
    for bad in ["evt_", "evt_1", "evt_%25", "evt_0123_4567", "key_01234567"] {
        let answer = host.get(&format!("ids/{bad}")).await;
        let none = answer.status == 200 && answer.json()["ids"] == serde_json::json!([]);
        assert!(answer.status == 400 || none, "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn a_listing_fits_its_terminal() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    for noun in ["event", "run", "command", "trigger", "controller", "worker"] {
        let said = on_a_terminal(&folder, &host.url, &[noun, "list"]).await;
        let plain = anstream::adapter::strip_str(&said).to_string();
        assert!(plain.lines().all(|line| line.trim_end().chars().count() <= WIDTH), "{plain}");
        assert!(!plain.contains("Z\r") && plain.lines().count() > 1, "{plain}");
    }
    let said = on_a_terminal(&folder, &host.url, &["run", "list"]).await;
    assert!(said.contains("s ago") && said.contains(&run[..20]), "{said}");
    assert!(!said.contains(&run), "{said}");
    // A pipe gets all of it.
    let piped = ask(&folder, &host, &["run", "list"]).await.good();
    assert!(piped.contains(&run) && piped.contains("Z"), "{piped}");
    let failed = ask(&folder, &host, &["run", "list", "--failed"]).await;
    assert_eq!(failed.stderr, "there are none\n");
}
