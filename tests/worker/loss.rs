//! Workers and hosts that go away while a program runs.

use nix::sys::signal::Signal;

use super::{PATIENT, gone, host_folder, run, start, starts, stdout, worker_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::wait;

#[tokio::test]
async fn a_stopping_worker_waits_for_its_program() {
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "").await);
    let host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let first = run(&host).await;
    host.line(&first, "started").await;
    worker.signal(Signal::SIGTERM);
    let second = run(&host).await;
    at_worker.write("go", "");
    assert!(worker.ended().await.success());
    host.run_with_status(&first, "completed").await;
    assert_eq!(host.read(&format!("runs/{second}")).await["status"], "scheduled");
}

#[tokio::test]
async fn a_stopping_worker_hands_back_what_it_cannot_finish() {
    let settings = "drain_grace = \"300ms\"\ncancel_grace = \"300ms\"";
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, settings).await);
    let host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "started").await;
    starts(&at_worker, 1).await;
    assert!(worker.stop().await.success());
    gone(&run).await;
    host.run_with_status(&run, "scheduled").await;

    let another = worker_folder(PATIENT, "").await;
    another.write("go", "");
    let _worker = start(&another, &host);
    host.run_with_status(&run, "completed").await;
    assert_eq!(host.logs(&run).await, stdout(&["started", "started", "done"]));
}

/// What it completed while the host was away is neither failed nor carried out again.
#[tokio::test]
async fn a_stopping_worker_waits_for_a_host_that_is_away() {
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "").await);
    let config = at_host.read("hillock.toml").unwrap();
    let once = "{ name = \"agent\", on_lost = \"fail\" }";
    at_host.write("hillock.toml", &config.replace("{ name = \"agent\" }", once));
    let mut host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "started").await;
    let address = host.address().to_owned();
    host.process.kill().await;
    at_worker.write("go", "");
    worker.signal(Signal::SIGTERM);
    wait::until("the program to have ended", async || {
        worker.written().contains("status=completed").then_some(())
    })
    .await;
    let host = at_host.serve_on(&address).await;
    host.run_with_status(&run, "completed").await;
    assert!(worker.ended().await.success());
    assert_eq!(host.logs(&run).await, stdout(&["started", "done"]));
    assert_eq!(starts(&at_worker, 1).await, 1);
}

#[tokio::test]
async fn a_stopping_worker_says_what_it_could_not_deliver() {
    let settings = "drain_grace = \"300ms\"";
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, settings).await);
    let mut host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "started").await;
    host.process.kill().await;
    at_worker.write("go", "");
    wait::until("the program to have ended", async || {
        worker.written().contains("status=completed").then_some(())
    })
    .await;
    worker.signal(Signal::SIGTERM);
    assert!(!worker.ended().await.success());
    let written = worker.written();
    assert!(written.contains(&run) && written.contains(": completed"), "{written}");
}

/// The same of the worker inside a host, whose store went away for good.
#[tokio::test]
async fn a_stopping_host_says_what_its_worker_could_not_deliver() {
    let script = serde_json::Value::from(PATIENT);
    let config = format!(
        "agents = [{{ name = \"agent\" }}]\n\
         endpoints = [{{ slug = \"open\", verification = \"none\" }}]\n\
         triggers = [{{ name = \"all\", event = \"webhook\", agent = \"agent\", \
                       prompt = \"work\" }}]\n\
         [server]\ndrain_grace = \"300ms\"\n[worker]\ndrain_grace = \"300ms\"\n\
         [[worker.agents]]\nname = \"agent\"\ndir = \".\"\n\
         command = [\"sh\", \"-c\", {script}]\n"
    );
    let folder = Folder::new(Database::postgres().await, &config).await;
    let mut host = folder.serve().await;
    let run = run(&host).await;
    host.line(&run, "started").await;
    folder.database.reachable(false).await;
    folder.write("go", "");
    wait::until("the program to have ended", async || {
        host.process.written().contains("status=completed").then_some(())
    })
    .await;
    assert!(!host.process.stop().await.success());
    let written = host.process.written();
    assert!(written.contains("the worker inside the host"), "{written}");
    assert!(written.contains(&run) && written.contains(": completed"), "{written}");
}

/// The restarted worker is known by its data folder, and what it had is its no more.
#[tokio::test]
async fn a_killed_workers_command_is_redone_when_it_is_back() {
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "").await);
    let host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let run = run(&host).await;
    host.line(&run, "started").await;
    worker.kill().await;

    let _worker = start(&at_worker, &host);
    starts(&at_worker, 2).await;
    at_worker.write("go", "");
    host.run_with_status(&run, "completed").await;
    let mut lines = host.logs(&run).await;
    let (stream, again) = lines.remove(1);
    assert!(stream == "host" && again.contains("begins again"), "{again}");
    assert_eq!(lines, stdout(&["started", "started", "done"]));
}

#[tokio::test]
async fn a_program_outlives_its_host() {
    for killed in [true, false] {
        let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "").await);
        let mut host = at_host.serve().await;
        let _worker = start(&at_worker, &host);
        let run = run(&host).await;
        host.line(&run, "started").await;
        let address = host.address().to_owned();
        if killed {
            host.process.kill().await;
        } else {
            assert!(host.process.stop().await.success());
        }
        at_worker.write("go", "");
        let again = at_host.serve_on(&address).await;
        again.run_with_status(&run, "completed").await;
        assert_eq!(again.logs(&run).await, stdout(&["started", "done"]), "killed: {killed}");
        assert_eq!(starts(&at_worker, 1).await, 1);
    }
}

#[tokio::test]
async fn two_workers_share_the_work() {
    let at_host = host_folder().await;
    let host = at_host.serve().await;
    let folders = [
        worker_folder(PATIENT, "capacity = 1").await,
        worker_folder(PATIENT, "capacity = 1").await,
    ];
    let _workers = folders.each_ref().map(|folder| start(folder, &host));
    let runs = [run(&host).await, run(&host).await];
    for folder in &folders {
        starts(folder, 1).await;
        folder.write("go", "");
    }
    for run in runs {
        host.run_with_status(&run, "completed").await;
        assert_eq!(host.logs(&run).await, stdout(&["started", "done"]));
    }
}
