//! The worker inside the host: it begins once one is configured, and ends with the host. It speaks to
//! the host as any other does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config;
use crate::model::id::WorkerId;
use crate::worker;
use crate::worker::identity::{self, Identity};

/// The worker inside the host.
#[derive(Debug)]
pub(super) struct Embedded {
    task: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// Where the worker inside the host is employed, once one is configured.
pub(super) struct Place {
    pub(super) host: String,
    pub(super) key: String,
    pub(super) data_dir: PathBuf,
    pub(super) private: worker::PrivateNow,
    pub(super) changes: watch::Receiver<Option<config::Worker>>,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

/// A worker that can begin, and what keeps others from being it.
struct Employed {
    ready: worker::Ready,
    _identity: Identity<WorkerId>,
}

impl Place {
    async fn prepare(&self, worker: config::Worker) -> anyhow::Result<Employed> {
        config::programs::warn_of_missing(&worker.programs);
        let mint = || self.clock.worker_id();
        let identity = identity::claim(&self.data_dir, identity::WORKER, mint)?;
        let settings = worker::Settings {
            host: self.host.clone(),
            key: self.key.clone(),
            id: identity.id.clone(),
            worker,
            changes: Some(self.changes.clone()),
            data_dir: self.data_dir.clone(),
            private: Arc::clone(&self.private),
            now: || Clock.now(),
            stop: self.stop.clone(),
        };
        Ok(Employed { ready: worker::prepare(settings).await?, _identity: identity })
    }

    /// Works as the worker that can begin, else as the first that is configured.
    async fn work(mut self, ready: Option<Employed>) -> anyhow::Result<()> {
        let employed = match ready {
            Some(employed) => employed,
            None => match self.first().await {
                Some(worker) => self.prepare(worker).await?,
                None => return Ok(()),
            },
        };
        Ok(employed.ready.work().await?)
    }

    /// The first worker that is configured, unless the host stops before.
    async fn first(&mut self) -> Option<config::Worker> {
        let found = self.changes.wait_for(Option::is_some);
        self.stop.run_until_cancelled(found).await?.ok()?.clone()
    }
}

impl Embedded {
    /// Begins to work, now or as soon as a worker is configured.
    ///
    /// # Errors
    /// When the worker that is configured cannot begin.
    pub(super) async fn begin(place: Place, tasks: &TaskTracker) -> anyhow::Result<Self> {
        let stop = place.stop.clone();
        let configured = place.changes.borrow().clone();
        let ready = match configured {
            Some(worker) => Some(place.prepare(worker).await?),
            None => None,
        };
        let task = tasks.spawn(async move {
            let worked = place.work(ready).await;
            if let Err(error) = &worked {
                tracing::error!("the worker ended: {error:#}");
            }
            worked
        });
        Ok(Self { task, stop })
    }

    /// Has it finish or hand back what it has.
    pub(super) async fn end(self, grace: Duration) -> anyhow::Result<()> {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        match tokio::time::timeout(grace, self.task).await {
            Ok(Ok(worked)) => worked.context("the worker inside the host"),
            Ok(Err(crashed)) => Err(crashed).context("the worker inside the host crashed"),
            Err(_) => {
                abort.abort();
                bail!("the worker inside the host did not end in time")
            }
        }
    }
}
