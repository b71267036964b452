//! `tests/python/worker.py`: the protocol is enough for a worker in another language.

use std::path::Path;

use super::{folder, run};
use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::host::Host;
use crate::harness::on_both_databases;
use crate::harness::process::Process;

on_both_databases!(a_worker_in_python_does_what_a_worker_does);

fn start(host: &Host, folder: &Folder) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/worker.py");
    let mut command = tokio::process::Command::new("python3");
    command
        .arg(script)
        .args([host.url.as_str(), "agent", "python.id"])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder.path())
        .env("HILLOCK_API_KEY", &host.key)
        .kill_on_drop(true);
    Process::start(command, &folder.path().join("python.log"))
}

fn lines(texts: &[&str]) -> Vec<(String, String)> {
    texts.iter().map(|text| ("stdout".to_owned(), (*text).to_owned())).collect()
}

async fn a_worker_in_python_does_what_a_worker_does(database: Database) {
    let folder = folder(database).await;
    let mut host = folder.serve().await;
    let mut worker = start(&host, &folder);
    let done = run(&host, "one\ntwo").await;
    host.run_with_status(&done, "completed").await;
    assert_eq!(host.logs(&done).await, lines(&["ONE", "TWO"]));

    let failed = run(&host, "fail").await;
    let failed = host.run_with_status(&failed, "failed").await;
    assert_eq!(failed["error"], "I was told to");

    let canceled = run(&host, "begun\nwait for never").await;
    host.line(&canceled, "BEGUN").await;
    host.post(&format!("runs/{canceled}/cancel")).await;
    host.run_with_status(&canceled, "canceled").await;

    // A host that goes away for a while does not stop it.
    let kept = run(&host, "kept\nwait for go").await;
    host.line(&kept, "KEPT").await;
    let address = host.address().to_owned();
    host.process.kill().await;
    folder.write("go", "");
    let host = folder.serve_on(&address).await;
    host.run_with_status(&kept, "completed").await;
    assert_eq!(host.logs(&kept).await, lines(&["KEPT"]));

    // One that is killed has forgotten what it had, and gets it again.
    let redone = run(&host, "again\nwait for leave").await;
    host.line(&redone, "AGAIN").await;
    worker.kill().await;
    folder.write("leave", "");
    let _worker = start(&host, &folder);
    host.run_with_status(&redone, "completed").await;
    let mut said = host.logs(&redone).await;
    let (stream, again) = said.remove(1);
    assert!(stream == "host" && again.contains("begins again"), "{again}");
    assert_eq!(said, lines(&["AGAIN", "AGAIN"]));
}
