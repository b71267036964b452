//! How a machine's worker joins a host: with flags alone, by a token that is needed once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::stand_in::{CREDENTIAL, StandIn, TOKEN};
use super::{host_folder, run, stdout};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::process::Process;
use crate::harness::wait;

/// A machine that was never told anything.
async fn machine() -> Folder {
    let folder = Folder::new(Database::sqlite(), "").await;
    fs::remove_file(folder.path().join("hillock.toml")).unwrap();
    folder
}

#[tokio::test]
async fn a_worker_joins_once_and_is_the_same_ever_after() {
    let (mut host, folder) = (StandIn::start("pending").await, machine().await);
    let flags = [
        "--name",
        "m2",
        "--capacity",
        "3",
        "--label",
        "team=core",
        "--label",
        "tier=1",
        "--capability",
        "git",
        "--tool",
        "cargo",
        "--cluster",
        "a",
        "--region",
        "eu",
        "--agent",
        "agent=sh",
        "--agent",
        "other",
        "--join",
        TOKEN,
        "--",
        "sh",
        "-c",
        "exit 0",
    ];
    let mut worker = host.employ(&folder, &flags);
    let (peer, hello) = host.greeted().await;
    assert_eq!(host.joined(), [serde_json::json!({ "name": "m2" })]);
    assert_eq!((&hello.worker_id, hello.name.as_str()), (host.id(), "m2"));
    let served: Vec<&str> = hello.agents.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!((hello.capacity, served), (3, vec!["agent", "other"]));
    let offer = serde_json::to_value(&hello.offer).unwrap();
    let machine = format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH);
    for (field, wanted) in [
        ("labels", serde_json::json!({ "team": "core", "tier": "1" })),
        ("capabilities", serde_json::json!(["git"])),
        ("tools", serde_json::json!(["cargo"])),
        ("cluster", "a".into()),
        ("region", "eu".into()),
        ("platform", machine.into()),
    ] {
        assert_eq!(offer[field], wanted, "{field}");
    }
    assert!(worker.written().contains("hillock worker approve m2"), "{}", worker.written());

    let mut second = folder.hillock(&["worker", "--agent", "agent=sh"]);
    let second = second.env("HILLOCK_URL", &host.url).output().await.unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another process is the worker"), "{said}");
    assert!(worker.stop().await.success());
    drop(peer);

    // Neither the token nor a key is needed any more; a token that is still there is not used.
    for environment in [&[][..], &[("HILLOCK_JOIN_TOKEN", TOKEN)]] {
        let mut again = host.employ_with(&folder, &["--agent", "agent=sh"], environment);
        let (mut peer, hello) = host.greeted().await;
        assert_eq!(&hello.worker_id, host.id());
        assert_eq!(peer.carried_out("echo hello", None).await.lines, ["hello"]);
        assert!(again.stop().await.success());
    }
    assert_eq!(host.joined().len(), 1);
    kept_in_confidence(&folder);
}

/// Only the worker's own user can read what it got, and no log has it.
fn kept_in_confidence(folder: &Folder) {
    let files: Vec<_> = fs::read_dir(folder.data_dir()).unwrap().map(Result::unwrap).collect();
    let holds = |path: &std::path::Path| {
        fs::read_to_string(path).is_ok_and(|text| text.contains(CREDENTIAL))
    };
    let keeping: Vec<_> = files.iter().map(fs::DirEntry::path).filter(|file| holds(file)).collect();
    assert_eq!(keeping.len(), 1, "{files:?}");
    assert_eq!(keeping[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let log = folder.read("worker.log").unwrap();
    assert!(!log.contains(CREDENTIAL) && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn a_token_that_the_host_does_not_know_ends_the_worker() {
    let (host, folder) = (StandIn::start("approved").await, machine().await);
    let mut worker = host.employ(&folder, &["--agent", "agent=sh", "--join", "hlk_join_used"]);
    assert!(!worker.ended().await.success());
    let said = worker.written();
    assert!(
        said.contains("does not accept the token") && !said.contains("hlk_join_used"),
        "{said}"
    );
    assert_eq!(host.joined().len(), 0);
}

#[tokio::test]
async fn a_revoked_worker_ends_wherever_it_is() {
    let (mut host, folder) = (StandIn::start("approved").await, machine().await);
    let token = [("HILLOCK_JOIN_TOKEN", TOKEN)];
    let mut worker = host.employ_with(&folder, &["--agent", "agent=sh"], &token);
    let (mut peer, _) = host.greeted().await;
    assert_eq!(peer.carried_out("echo $HILLOCK_JOIN_TOKEN", None).await.lines, [""]);
    host.revoke();
    drop(peer);
    assert!(!worker.ended().await.success());
    let said = worker.written();
    assert!(said.contains("refused this worker's credential (401)"), "{said}");
    assert!(said.contains("revoked") && said.contains("worker."), "{said}");

    let mut again = host.employ_with(&folder, &["--agent", "agent=sh"], &token);
    assert!(!again.ended().await.success());
    assert_eq!(host.joined().len(), 1, "what is revoked does not come back by itself");
}

/// With the host itself: the token, the approval, the work, another credential, and the end.
#[tokio::test]
async fn a_second_machine_works_for_a_host() {
    let at_host = host_folder().await;
    let host = at_host.serve().await;
    let ask = async |args: &[&str]| {
        let answer = at_host.hillock(args).env("HILLOCK_URL", &host.url).output().await.unwrap();
        assert!(answer.status.success(), "{args:?}: {answer:?}");
        String::from_utf8(answer.stdout).unwrap().trim().to_owned()
    };
    let token = ask(&["worker", "token", "create"]).await;
    let run = run(&host).await;
    let there = machine().await;
    let start = |join: &str| {
        let line = ["worker", "--name", "m2", "--agent", "agent=sh there.sh", "--join", join];
        let mut command = there.hillock(&line);
        command.env("HILLOCK_URL", &host.url);
        Process::start(command, &there.path().join("worker.log"))
    };
    there.write("there.sh", "cat; echo; echo '{\"type\":\"result\",\"data\":{}}'");
    let mut worker = start(&token);
    wait::until("the worker to wait", async || {
        worker.written().contains("hillock worker approve m2").then_some(())
    })
    .await;
    assert_eq!(host.read(&format!("runs/{run}")).await["status"], "scheduled");
    ask(&["worker", "approve", "m2"]).await;
    host.run_with_status(&run, "completed").await;
    assert_eq!(host.logs(&run).await, stdout(&["work"]));

    let rotated = ask(&["worker", "rotate", "m2"]).await;
    assert!(!worker.ended().await.success());
    assert!(worker.written().contains("has another by now"), "{}", worker.written());
    let mut worker = start(&rotated);
    let second = super::run(&host).await;
    host.run_with_status(&second, "completed").await;
    assert_eq!(host.items("workers").await.len(), 1);

    ask(&["worker", "revoke", "m2"]).await;
    assert!(!worker.ended().await.success());
    assert!(worker.written().contains("refused this worker's credential"), "{}", worker.written());
}

#[tokio::test]
async fn a_worker_that_is_not_told_what_to_run_says_so() {
    let (host, folder) = (StandIn::start("approved").await, machine().await);
    let mut worker = host.employ(&folder, &["--join", TOKEN]);
    assert!(!worker.ended().await.success());
    assert!(worker.written().contains("--agent NAME=PROGRAM"), "{}", worker.written());
    assert_eq!(host.joined().len(), 0);
}

/// Where it is not among what every user of the machine sees of a process.
#[tokio::test]
async fn a_token_is_read_from_a_file_standard_input_or_the_environment() {
    for way in ["--join-file", "--join -", "HILLOCK_JOIN_TOKEN", "--join"] {
        let mut host = StandIn::start("approved").await;
        let folder = Folder::new(Database::sqlite(), "").await;
        folder.write("token", &format!("{TOKEN}\n"));
        let mut command = folder.hillock(&["worker", "--agent", "agent=sh"]);
        command.env("HILLOCK_URL", &host.url);
        match way {
            "--join-file" => command.args([way, "token"]),
            "--join -" => command
                .args(["--join", "-"])
                .stdin(std::fs::File::open(folder.path().join("token")).unwrap()),
            "--join" => command.args([way, TOKEN]),
            variable => command.env(variable, TOKEN),
        };
        let worker = Process::start(command, &folder.path().join("worker.log"));
        host.greeted().await;
        let process =
            |file: &str| std::fs::read(format!("/proc/{}/{file}", worker.id())).unwrap_or_default();
        let is_seen = ["cmdline", "environ"]
            .iter()
            .any(|file| String::from_utf8_lossy(&process(file)).contains(TOKEN));
        let is_warned_of = worker.written().contains("in the list of processes");
        assert_eq!((is_seen, is_warned_of), (way == "--join", way == "--join"), "{way}");
    }
}

/// Two of one machine are told apart, and each says when it may begin.
#[tokio::test]
async fn a_worker_says_when_it_has_been_let_in() {
    let (folder, machines) = (host_folder().await, [machine().await, machine().await]);
    let host = folder.serve().await;
    let asked = serde_json::json!({ "uses": 2 });
    let made = host.send(reqwest::Method::POST, "workers/tokens", &asked).await.json();
    let token = made["token"].as_str().unwrap();
    let start = |machine: &Folder| {
        let mut command = machine.hillock(&["worker", "--agent", "agent=true"]);
        command.env("HILLOCK_URL", &host.url).env("HILLOCK_JOIN_TOKEN", token);
        Process::start(command, &machine.path().join("worker.log"))
    };
    let workers = machines.each_ref().map(start);
    let listed = wait::until("both to be known by their names", async || {
        let items = host.items("workers").await;
        let named = items.iter().filter(|worker| worker["health"] == "online");
        let mut names: Vec<String> =
            named.map(|worker| worker["name"].as_str().unwrap().to_owned()).collect();
        names.dedup();
        (names.len() == 2).then_some(items)
    })
    .await;
    let machine = nix::unistd::gethostname().unwrap().into_string().unwrap();
    for worker in &listed {
        let (id, name) = (worker["id"].as_str().unwrap(), worker["name"].as_str().unwrap());
        assert_eq!(name, format!("{machine}-{}", &id[id.len() - 6..]));
    }
    for worker in &workers {
        wait::until("the worker to say that it waits", async || {
            worker.written().contains("not let in yet").then_some(())
        })
        .await;
        let said = worker.written();
        assert!(said.contains(&format!("hillock worker approve {machine}-")), "{said}");
        assert!(!said.contains("let in: this worker is given work now"), "{said}");
    }
    for worker in &listed {
        host.post(&format!("workers/{}/approve", worker["id"].as_str().unwrap())).await;
    }
    for worker in &workers {
        wait::until("the worker to say that it was let in", async || {
            worker.written().contains("let in: this worker is given work now").then_some(())
        })
        .await;
    }
}
