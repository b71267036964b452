//! Who may be a worker.

use super::{PATIENT, host_folder, run, start, starts, stdout, worker_folder};
use crate::harness::host::Host;
use crate::harness::process::Process;

#[tokio::test]
async fn a_worker_needs_the_hosts_key() {
    let (at_host, at_worker) = (host_folder().await, worker_folder("true", "").await);
    let host = at_host.serve().await;
    let mut command = at_worker.hillock(&["worker", "--config", "hillock.toml"]);
    command.env("HILLOCK_URL", &host.url).env("HILLOCK_API_KEY", "hlk_wrong");
    let log = at_worker.path().join("worker.log");
    let mut worker = Process::start(command, &log);
    assert!(!worker.ended().await.success());
    assert!(worker.written().to_lowercase().contains("key"), "{}", worker.written());
}

#[tokio::test]
async fn a_worker_without_programs_says_so() {
    let at_host = host_folder().await;
    let host: Host = at_host.serve().await;
    let mut worker = start(&at_host, &host);
    assert!(!worker.ended().await.success());
    assert!(worker.written().contains("has no [worker]"), "{}", worker.written());
}

/// Two processes with one identity would take each other's commands away.
#[tokio::test]
async fn two_processes_in_one_folder_are_two_workers() {
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, "capacity = 1").await);
    let host = at_host.serve().await;
    let workers = [start(&at_worker, &host), start(&at_worker, &host)];
    let runs = [run(&host).await, run(&host).await];
    starts(&at_worker, 2).await;
    at_worker.write("go", "");
    for run in runs {
        host.run_with_status(&run, "completed").await;
        assert_eq!(host.logs(&run).await, stdout(&["started", "done"]));
    }
    for mut worker in workers {
        assert!(worker.stop().await.success());
    }
}
