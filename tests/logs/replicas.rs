//! Two hosts on one PostgreSQL: what a worker says to one is streamed by the other.

use super::resume::Reader;
use super::{AUTOMATIONS, host_folder, run, start, worker_folder};
use crate::harness::database::Database;
use crate::harness::folder::Folder;

#[tokio::test]
async fn a_stream_tells_what_another_host_hears() {
    let script = "seq 1 5000; until [ -e go ]; do sleep 0.05; done; seq 5001 10000";
    let at_one = host_folder(Database::postgres().await).await;
    let at_other = Folder::new(Database::sqlite(), AUTOMATIONS).await.beside(&at_one);
    let (one, other) = (at_one.serve().await, at_other.serve().await);
    let at_worker = worker_folder(script).await;
    let _worker = start(&at_worker, &other);
    let run = run(&one).await;
    let mut reader = Reader::new(&run);
    // The last of these come while the stream is open and its host is told of nothing.
    reader.read(&one, 5_000).await;
    at_worker.write("go", "");
    reader.read(&one, 7_000).await;
    // An id of one host is good at the other.
    reader.read(&other, 10_000).await;
    reader.check_end(&one).await;
}
