//! A backup that was made while runs were in hand, put back: nothing that it holds is lost.

use serde_json::Value;

use super::{PATIENT, host_folder, run, start, starts, stdout, worker_folder};
use crate::harness::folder::Folder;
use crate::harness::host::Host;

async fn hillock(folder: &Folder, args: &[&str]) {
    let output = folder.hillock(args).env("HILLOCK_STORE_URL", folder.store_url()).output().await;
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

async fn statuses(host: &Host) -> Vec<String> {
    let runs = host.items("runs").await;
    runs.iter().rev().map(|run: &Value| run["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn runs_in_hand_at_the_backup_are_carried_out() {
    let settings = "capacity = 1";
    let (at_host, at_worker) = (host_folder().await, worker_folder(PATIENT, settings).await);
    let mut host = at_host.serve().await;
    let mut worker = start(&at_worker, &host);
    let in_hand = run(&host).await;
    host.line(&in_hand, "started").await;
    let waiting = run(&host).await;
    hillock(&at_host, &["backup", "b.db"]).await;

    // Afterwards both end, which the backup knows nothing of.
    at_worker.write("go", "");
    host.run_with_status(&in_hand, "completed").await;
    host.run_with_status(&waiting, "completed").await;
    worker.kill().await;
    host.process.kill().await;
    hillock(&at_host, &["restore", "b.db"]).await;

    let host = at_host.serve().await;
    assert_eq!(statuses(&host).await, ["running", "scheduled"], "as they were");
    let _worker = start(&at_worker, &host);
    for id in [&in_hand, &waiting] {
        host.run_with_status(id, "completed").await;
    }
    starts(&at_worker, 4).await;
    let mut lines = host.logs(&in_hand).await;
    let (stream, again) = lines.remove(1);
    assert!(stream == "host" && again.contains("begins again"), "{again}");
    assert_eq!(lines, stdout(&["started", "started", "done"]));
    assert_eq!(host.logs(&waiting).await, stdout(&["started", "done"]));
}
