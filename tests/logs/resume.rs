//! Streams that break and go on: nothing is missing, and nothing comes twice.

use super::stream::Stream;
use super::{folder, host_folder, run, start, worker_folder};
use crate::harness::database::Database;
use crate::harness::host::Host;
use crate::harness::on_both_databases;

const LINES: usize = 10_000;

on_both_databases!(
    a_broken_stream_goes_on_in_the_middle,
    a_stream_goes_on_after_its_host_was_killed,
);

async fn a_broken_stream_goes_on_in_the_middle(database: Database) {
    let script = "seq 1 5000; until [ -e go ]; do sleep 0.05; done; seq 5001 10000";
    let folder = folder(database, script, "").await;
    let host = folder.serve().await;
    let run = run(&host).await;
    let mut reader = Reader::new(&run);
    // Between two frames, over portions, before and after the program goes on.
    for until in [1, 777, 4_999, 5_000] {
        reader.read(&host, until).await;
    }
    folder.write("go", "");
    for until in [5_001, 8_191, LINES] {
        reader.read(&host, until).await;
    }
    reader.check_end(&host).await;
}

async fn a_stream_goes_on_after_its_host_was_killed(database: Database) {
    let script = "seq 1 4000; until [ -e go ]; do sleep 0.05; done; seq 4001 10000";
    let (at_host, at_worker) = (host_folder(database).await, worker_folder(script).await);
    let mut host = at_host.serve().await;
    let _worker = start(&at_worker, &host);
    let run = run(&host).await;
    let mut reader = Reader::new(&run);
    reader.read(&host, 3_333).await;
    // While a stream is open, and the worker writes.
    let mut open = Stream::open(&host, &run, None).await;
    open.next_of("log").await;
    at_worker.write("go", "");
    let address = host.address().to_owned();
    host.process.kill().await;
    while open.next().await.is_some() {}
    let again = at_host.serve_on(&address).await;
    reader.read(&again, 6_000).await;
    reader.read(&again, LINES).await;
    reader.check_end(&again).await;
}

/// Reads a run's numbers, a connection at a time.
pub(super) struct Reader {
    run: String,
    last_id: Option<String>,
    read: usize,
}

impl Reader {
    pub(super) fn new(run: &str) -> Self {
        Self { run: run.to_owned(), last_id: None, read: 0 }
    }

    /// Reads up to this number by a connection of its own, and breaks it off.
    pub(super) async fn read(&mut self, host: &Host, until: usize) {
        let mut stream = Stream::open(host, &self.run, self.last_id.as_deref()).await;
        while self.read < until {
            let line = stream.next_of("log").await;
            self.read += 1;
            assert_eq!(line.data["text"], self.read.to_string());
            assert_eq!(line.id, format!("l{}-e0", self.read));
            self.last_id = Some(line.id);
        }
    }

    /// Nothing more comes but the end.
    pub(super) async fn check_end(&self, host: &Host) {
        let frames = Stream::open(host, &self.run, self.last_id.as_deref()).await.rest().await;
        assert!(frames.iter().all(|frame| frame.name != "log"), "{frames:?}");
        let end = frames.last().unwrap();
        assert_eq!((end.name.as_str(), end.id.as_str()), ("end", "l10000-e0-end"));
    }
}
