//! Standard output and standard error that take nothing: a command does what it does, ends as it
//! would, and never panics; a host whose log nobody reads goes on.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::unistd::pipe;

use super::contract_folder;
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::payloads::Payload;
use crate::harness::process::Process;
use crate::harness::senders::github;

/// A stream that fails at each write.
fn full() -> OwnedFd {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A stream that nobody reads any more.
fn unread() -> OwnedFd {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer
}

/// How a command ends whose streams go there.
async fn ends(folder: &Folder, args: &[&str], out: Option<OwnedFd>, err: Option<OwnedFd>) -> i32 {
    let into = |fd: Option<OwnedFd>| fd.map_or_else(Stdio::null, Stdio::from);
    let mut command = folder.hillock(args);
    let status = command.stdout(into(out)).stderr(into(err)).status().await.unwrap();
    status.code().expect("no signal ends it")
}

#[tokio::test]
async fn a_standard_error_that_takes_nothing_changes_nothing() {
    let folder = Folder::new(Database::sqlite(), "[server]\nlisten = \"x\"\n").await;
    for (args, wanted) in [
        (&["schedule", "next", "--cron", "bad"][..], 1),
        (&["schedule", "next", "--at", "1999-01-01T00:00:00Z"], 0),
        (&["config", "check"], 1),
        (&["serve"], 1),
        (&["worker"], 1),
        (&["run", "list", "--url", "http://127.0.0.1:1"], 1),
        (&["run", "list", "--limit", "none"], 2),
    ] {
        assert_eq!(ends(&folder, args, None, Some(full())).await, wanted, "{args:?}, full");
        assert_eq!(ends(&folder, args, None, Some(unread())).await, wanted, "{args:?}, unread");
    }
}

#[tokio::test]
async fn a_standard_output_that_nobody_reads_changes_nothing() {
    let folder = Folder::new(Database::sqlite(), "[server]\nlisten = \"x\"\n").await;
    for (args, wanted) in [
        (&["config", "check", "--json"][..], 1),
        (&["schedule", "next", "--every", "5m"], 0),
        (&["schedule", "next", "--every", "5m", "--json"], 0),
        (&["completions", "bash"], 0),
        (&["metrics", "--alerts"], 0),
        (&["--help"], 0),
    ] {
        assert_eq!(ends(&folder, args, Some(unread()), Some(unread())).await, wanted, "{args:?}");
    }
    // What was asked for is not there: that is a failure.
    let next = ["schedule", "next", "--every", "5m"];
    assert_eq!(ends(&folder, &next, Some(full()), Some(full())).await, 1);
}

#[tokio::test]
async fn a_host_whose_log_nobody_reads_goes_on() {
    let folder = contract_folder().await.env("HILLOCK_LOG", "debug");
    let mut command = folder.hillock(&["serve", "--config", "hillock.toml"]);
    command.env("HILLOCK_LISTEN", "127.0.0.1:0").env("HILLOCK_STORE_URL", folder.store_url());
    let (reader, writer) = pipe().unwrap();
    let process = Process::with_log(command, writer);
    // It writes before it is ready: somebody has to read until then.
    let reading = std::thread::spawn(move || {
        let mut text = [0; 4096];
        while nix::unistd::read(&reader, &mut text).is_ok_and(|read| read > 0) {
            if String::from_utf8_lossy(&text).contains("ready on") {
                break;
            }
        }
    });
    let mut host = Host::ready(&folder, process).await;
    reading.join().unwrap();
    let event = host.deliver("github", github(Payload::IssueOpened, "d-1")).await.event_id(202);
    let run = host.run_of(&event).await;
    host.run_with_status(&run, "completed").await;
    assert!(host.process.stop().await.success());
}
