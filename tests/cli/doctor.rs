//! `hillock doctor`: what a host needs on this machine.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;

use super::{Said, alone, contract_folder};
use crate::harness::folder::Folder;
use crate::harness::payloads::Payload;
use crate::harness::senders::github;

/// Whether all is well, and the findings that say otherwise: subject, state, what and what to do.
fn found(said: &Said) -> (bool, Vec<(String, String, String, String)>) {
    let told: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    let text =
        |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["state"] != "ok");
    let findings = findings.map(|one| {
        (text(one, "subject"), text(one, "state"), text(one, "what"), text(one, "advice"))
    });
    (told["healthy"].as_bool().unwrap(), findings.collect())
}

async fn look(folder: &Folder, listen: &str) -> Said {
    let mut command = folder.hillock(&["doctor", "--json"]);
    command.env("HILLOCK_LISTEN", listen).env("HILLOCK_STORE_URL", folder.store_url());
    command.output().await.unwrap().into()
}

#[tokio::test]
async fn what_is_well_is_said_before_and_beside_a_host() {
    let folder = contract_folder().await;
    let said = look(&folder, "127.0.0.1:0").await;
    let (healthy, findings) = found(&said);
    // What this machine has of certificates, NTP and bubblewrap is its own.
    let of_ours = |findings: &[(String, String, String, String)]| {
        let elsewhere = ["certificates", "clock", "bubblewrap", "prlimit", "isolation"];
        findings.iter().filter(|(subject, ..)| !elsewhere.contains(&subject.as_str())).count()
    };
    assert!(said.success && healthy && of_ours(&findings) == 0, "{said:?}");
    assert!(said.stdout.contains("its tables are made at the first start"), "{said:?}");
    // It has made nothing.
    let store = folder.store_url().strip_prefix("sqlite://").unwrap().to_owned();
    assert!(!fs::exists(&store).unwrap());

    let host = folder.serve().await;
    let said = look(&folder, host.address()).await;
    assert!(said.success, "{said:?}");
    assert!(said.stdout.contains(&format!("a host listens on {}", host.address())), "{said:?}");
    assert!(said.stdout.contains("its tables are of version"), "{said:?}");
    let plain = alone(&folder, &["doctor", "--config", "hillock.toml"]).await;
    assert!(plain.stdout.contains("ok       configuration  hillock.toml is good"), "{plain:?}");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let folder = contract_folder().await.env("GITHUB_WEBHOOK_SECRET", "a secret with a line end\n");
    let config = folder.read("hillock.toml").unwrap();
    folder.write(
        "hillock.toml",
        &config
            .replace("\"sh\"", "\"no-such-program\"")
            .replace("{{data.issue.title}}", "{{dta.x}}"),
    );
    fs::set_permissions(folder.data_dir(), Permissions::from_mode(0o755)).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, answering) = (taken.local_addr().unwrap().to_string(), taken);
    let silent = std::thread::spawn(move || drop(answering.accept()));
    let said = look(&folder, &address).await;
    silent.join().unwrap();
    let (healthy, findings) = found(&said);
    assert!(!said.success && !healthy, "{said:?}");
    for (subject, state, what) in [
        ("configuration", "error", "triggers[0].prompt"),
        ("programs", "error", "worker.agents[0].command: there is no program `no-such-program`"),
        ("secrets", "warning", "ends with a line end"),
        ("data folder", "warning", "others can look into"),
        ("address", "error", "another program listens on"),
    ] {
        let one = findings.iter().find(|(of, is, said, advice)| {
            of == subject && is == state && said.contains(what) && !advice.is_empty()
        });
        assert!(one.is_some(), "{subject}: {findings:?}");
    }
    assert!(!said.stdout.contains("a secret with"), "{said:?}");
}

/// A host that ran with a clock an hour ahead.
#[tokio::test]
async fn a_store_from_the_future_is_said() {
    let folder = contract_folder().await.with_clock();
    folder.lead(Duration::from_secs(3600));
    let mut host = folder.serve().await;
    let event = host.deliver("github", github(Payload::IssueClosed, "d-1")).await.event_id(202);
    host.decided(&event).await;
    assert!(host.process.stop().await.success());
    folder.lead(Duration::ZERO);
    let said = look(&folder, "127.0.0.1:0").await;
    let (_, findings) = found(&said);
    let ahead = |(subject, _, what, _): &(String, String, String, String)| {
        subject == "clock" && what.contains("its latest event was received")
    };
    assert!(findings.iter().any(ahead), "{said:?}");
}
