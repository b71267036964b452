//! The README: what it shows, works as shown.

use std::os::unix::fs::symlink;

use crate::contract;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::payloads::Payload;

const README: &str = include_str!("../README.md");

/// The blocks of code in a language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let block = |text: &'static str| text.split("```").next().unwrap_or_default();
    README.split(fence.as_str()).skip(1).map(block).collect()
}

#[test]
fn the_file_it_shows_is_the_contracts() {
    let shown = blocks("toml");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].trim(), contract::CONFIG.trim());
}

#[test]
fn its_two_commands_are_there() {
    let shown = blocks("sh");
    assert!(shown[0].contains("cargo run -- dev --once"), "{}", shown[0]);
    assert!(shown[1].ends_with("\ntests/run\n"), "{}", shown[1]);
    assert!(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/run")).is_file());
}

/// The first command, without what builds it, on any free port.
#[tokio::test]
async fn the_first_command_ends_with_a_webhooks_result() {
    let folder = Folder::new(Database::sqlite(), "").await;
    let mut dev = folder.hillock(&["dev", "--once", "--listen", "127.0.0.1:0"]);
    let output = dev.env_remove("HILLOCK_DATA_DIR").output().await.unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    for wanted in ["202 Accepted", "fired run_", "Triage issue #42 in acme/storefront", "bug"] {
        assert!(stdout.contains(wanted), "{wanted}: {stdout}{stderr}");
    }
    assert!(stderr.contains("completed"), "{stderr}");
}

/// The commands of the other terminal, one after the other, against a host that serves.
#[tokio::test]
async fn the_commands_of_the_main_job_work_as_shown() {
    let folder = contract::folder(Database::sqlite()).await;
    folder.write("issue.json", &Payload::IssueOpened.json().to_string());
    symlink(env!("CARGO_BIN_EXE_hillock"), folder.path().join("hillock")).unwrap();
    let host = folder.serve().await;
    let lines = blocks("sh")[3].lines();
    let mut ids = (String::new(), String::new());
    for line in lines {
        let line = line.replace("evt_…", &ids.0).replace("run_…", &ids.1);
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut shell = tokio::process::Command::new("sh");
        shell
            .args(["-c", &line])
            .current_dir(folder.path())
            .env("PATH", path)
            .env("GITHUB_WEBHOOK_SECRET", crate::harness::folder::SECRET)
            .env("HILLOCK_DATA_DIR", folder.data_dir())
            .env("HILLOCK_URL", &host.url);
        let output = shell.output().await.unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && !stdout.is_empty(), "{line}: {output:?}");
        ids = (word(&stdout, "evt_").unwrap_or(ids.0), word(&stdout, "run_").unwrap_or(ids.1));
    }
}

/// The first identifier with this prefix.
fn word(text: &str, prefix: &str) -> Option<String> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find(|word| word.starts_with(prefix)).map(str::to_owned)
}
