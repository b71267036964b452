//! What policies keep programs from. Each denial is tried beside the same deed without the policy,
//! which goes well.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hillock::dispatch::protocol::ToWorker;
use hillock::model::policy::WorkspaceAccess;
use hillock::model::run::Ending;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::stand_in::{Hello, Peer, StandIn, TOKEN};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::process::Process;

/// A worker whose agent is a shell that reads its prompt, in the folder `work`.
struct Bench {
    host: StandIn,
    folder: Folder,
    _worker: Process,
    peer: Peer,
    hello: Hello,
}

impl Bench {
    async fn new(environment: &[(&str, &str)]) -> Self {
        let (mut host, folder) =
            (StandIn::start("approved").await, Folder::new(Database::sqlite(), "").await);
        fs::create_dir(folder.path().join("work")).unwrap();
        folder.write("work/file", "content\n");
        let flags = ["--agent", "agent=bash", "--dir", "work", "--join", TOKEN];
        let worker = host.employ_with(&folder, &flags, environment);
        let (peer, hello) = host.greeted().await;
        Self { host, folder, _worker: worker, peer, hello }
    }

    async fn lines(&mut self, script: &str, policy: Option<Value>) -> Vec<String> {
        let carried = self.peer.carried_out(script, policy).await;
        assert_eq!(carried.ending, Ending::Completed, "{carried:?}");
        carried.lines
    }
}

fn policy(more: Value) -> Option<Value> {
    let mut policy = json!({ "runtime_type": "process" });
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Some(policy)
}

/// Whether this machine can keep a program apart. What cannot be tried here is said to be skipped.
fn apart(test: &str) -> bool {
    let mut trial = Command::new("bwrap");
    trial.args([
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--unshare-pid",
        "--unshare-net",
        "true",
    ]);
    let works = trial.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: {test}: bubblewrap does not work on this machine");
    }
    works
}

#[tokio::test]
async fn a_worker_offers_what_it_can_enforce_here() {
    let bench = Bench::new(&[]).await;
    let (enforces, apart) = (bench.hello.enforces(), apart("the offer of bubblewrap"));
    assert_eq!(enforces.network_off, apart);
    assert_eq!(enforces.workspace_access.contains(&WorkspaceAccess::None), apart);
    assert!(enforces.workspace_access.contains(&WorkspaceAccess::Rw));
    assert!(enforces.memory, "util-linux is everywhere");
}

/// As on a machine where it is not installed.
#[tokio::test]
async fn without_bubblewrap_nothing_of_it_is_offered_or_run() {
    let bin = tempfile::tempdir().unwrap();
    for name in ["bash", "true", "env"] {
        symlink(found(name), bin.path().join(name)).unwrap();
    }
    let mut bench = Bench::new(&[("PATH", bin.path().to_str().unwrap())]).await;
    let enforces = bench.hello.enforces();
    assert!(!enforces.network_off && !enforces.memory);
    assert_eq!(enforces.workspace_access, [WorkspaceAccess::Rw].into());
    for (asked, unmet) in [
        (json!({ "network_enabled": false }), "network_enabled = false"),
        (json!({ "workspace_access": "ro" }), "workspace_access = ro"),
        (json!({ "resources": { "memory": "1GiB" } }), "resources.memory = a limit"),
    ] {
        let carried = bench.peer.carried_out("echo ran", policy(asked)).await;
        let Ending::Failed { error, .. } = &carried.ending else { panic!("{carried:?}") };
        assert!(error.ends_with(&format!("cannot enforce {unmet}")), "{error}");
        assert_eq!(carried.lines, [""; 0]);
    }
    assert_eq!(bench.lines("echo ran", policy(json!({}))).await, ["ran"]);
}

fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file()).unwrap_or_else(|| panic!("there is no {name}"))
}

#[tokio::test]
async fn a_program_without_network_reaches_nobody() {
    if !apart("the network") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let reach = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo yes || echo no");
    let mut bench = Bench::new(&[]).await;
    assert_eq!(bench.lines(&reach, policy(json!({}))).await, ["yes"]);
    let off = || policy(json!({ "network_enabled": false }));
    assert_eq!(bench.lines(&reach, off()).await, ["no"]);
    // It works in its folder nevertheless, and cannot go the way of another process's.
    let script = "pwd; echo more >> file && cat file; ls -d /proc/[0-9]* | wc -l";
    let work = bench.folder.path().join("work").canonicalize().unwrap();
    let lines = bench.lines(script, off()).await;
    assert_eq!(lines[..3], [work.to_str().unwrap(), "content", "more"]);
    assert!(lines[3].parse::<u32>().unwrap() < 8, "{lines:?}");
}

#[tokio::test]
async fn a_folder_to_read_is_not_written() {
    if !apart("workspace_access = ro") {
        return;
    }
    let mut bench = Bench::new(&[]).await;
    let script = "cat file; (echo more >> file) 2>/dev/null && echo written || echo denied; \
                  mount -o remount,rw,bind . 2>/dev/null && echo remounted; \
                  (: > file) 2>/dev/null && echo emptied; exit 0";
    let ro = policy(json!({ "workspace_access": "ro" }));
    assert_eq!(bench.lines(script, ro).await, ["content", "denied"]);
    assert_eq!(bench.folder.read("work/file").unwrap(), "content\n");
    let append = "(echo more >> file) && echo written";
    assert_eq!(bench.lines(append, policy(json!({}))).await, ["written"]);
    assert_eq!(bench.folder.read("work/file").unwrap(), "content\nmore\n");
}

#[tokio::test]
async fn a_folder_out_of_sight_is_empty_and_stays_so() {
    if !apart("workspace_access = none") {
        return;
    }
    let mut bench = Bench::new(&[]).await;
    let script = "ls -A; cat \"$PWD/file\" 2>/dev/null || echo nothing; \
                  (: > new) 2>/dev/null || echo denied";
    let none = policy(json!({ "workspace_access": "none" }));
    assert_eq!(bench.lines(script, none).await, ["nothing", "denied"]);
    assert_eq!(bench.lines("ls -A", policy(json!({}))).await, ["file"]);
}

#[tokio::test]
async fn a_program_gets_no_more_memory_than_its_policy_says() {
    let mut bench = Bench::new(&[]).await;
    let script = "ulimit -c; (x=$(head -c 150000000 /dev/zero | tr '\\0' x); echo ${#x}) \
                  2>/dev/null || echo denied";
    let little = policy(json!({ "resources": { "memory": "128MiB" } }));
    assert_eq!(bench.lines(script, little).await, ["0", "denied"]);
    assert_eq!(bench.lines(script, policy(json!({}))).await, ["0", "150000000"]);
}

/// The jailer does not end before its program, and leaves nobody behind.
#[tokio::test]
async fn a_program_apart_may_clean_up_and_is_killed_with_all_it_started() {
    if !apart("the end of a program apart") {
        return;
    }
    let mut bench = Bench::new(&[]).await;
    let apart = || policy(json!({ "network_enabled": false }));
    let polite = "trap 'sleep 3; echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let held = bench.peer.order(polite, apart()).await;
    bench.peer.hear_out(&held, Some("up")).await;
    bench.peer.say(&ToWorker::Cancel { command_id: held.command_id.clone() }).await;
    let carried = bench.peer.hear_out(&held, None).await;
    // Some shells say of themselves that a child was terminated.
    assert_eq!(carried.lines.last().map(String::as_str), Some("cleaned"), "{:?}", carried.lines);
    assert_eq!(carried.ending, Ending::Canceled);

    // Whoever holds the lock is alive; `setsid` takes it out of the group.
    let stubborn = "setsid flock lock sh -c 'echo up; exec sleep 600' & wait";
    let held = bench.peer.order(stubborn, apart()).await;
    bench.peer.hear_out(&held, Some("up")).await;
    bench.peer.say(&ToWorker::Cancel { command_id: held.command_id.clone() }).await;
    assert_eq!(bench.peer.hear_out(&held, None).await.ending, Ending::Canceled);
    assert_eq!(bench.lines("flock -w 20 lock echo free", None).await, ["free"]);
    assert_eq!(bench.host.joined().len(), 1);
}
