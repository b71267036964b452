//! The host as a whole: what is opened, in which order it begins, and in which it ends.

mod data_dir;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activation::{Activator, check};
use crate::api::{self, Api};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::controllers;
use crate::dispatch::hub::Hub;
use crate::ingress::{Endpoints, Webhooks, inbox};
use crate::model::definition::Definitions;
use crate::model::problem::Problems;
use crate::sandbox::Sandbox;
use crate::store::Store;
use crate::worker;
pub use data_dir::DataDir;

/// How long the worker inside the host may take to stop its programs and hand their commands back.
const HANDING_BACK: Duration = Duration::from_secs(10);

/// A host that is running.
#[derive(Debug)]
pub struct Host {
    /// Where it is reached from this machine.
    pub address: SocketAddr,
    config: Config,
    store: Store,
    tasks: TaskTracker,
    draining: CancellationToken,
    stop: CancellationToken,
    worker: Option<Embedded>,
}

/// The worker inside the host.
#[derive(Debug)]
struct Embedded {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Host {
    /// Opens everything and begins to serve.
    ///
    /// # Errors
    /// When anything is not as configured; nothing runs then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let clock = Clock;
        let data_dir = DataDir::open(&config.data_dir)?;
        let endpoints = Endpoints::open(&config.definitions, clock)
            .map_err(|problems| invalid(&config, &problems))?;
        let (sandbox, store) =
            tokio::try_join!(open_sandbox(&config, &data_dir), open_store(&config))?;
        let problems = check::problems(&config.definitions, &sandbox).await;
        if !problems.is_empty() {
            bail!(invalid(&config, &problems));
        }
        let key = data_dir.admin_key(&store, clock).await?;
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!("cannot listen on {} (--listen takes another address)", config.listen)
        })?;
        let address = local(listener.local_addr()?);
        let mut host = Self {
            address,
            store,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            worker: None,
            config,
        };
        host.serve(listener, sandbox, endpoints, clock);
        data_dir.publish_address(address)?;
        host.employ(&data_dir, key, clock)?;
        tracing::info!("ready on http://{address}");
        Ok(host)
    }

    fn serve(
        &self,
        listener: TcpListener,
        sandbox: Arc<Sandbox>,
        endpoints: Endpoints,
        clock: Clock,
    ) {
        let (store, hub) = (self.store.clone(), Hub::default());
        let definitions: Arc<Definitions> = Arc::new(self.config.definitions.clone());
        let (slot, tray) = inbox::way();
        let triggers = definitions.triggers.clone();
        let activator = Activator::new(store.clone(), Arc::clone(&sandbox), clock, triggers);
        let activator = Arc::new(activator);
        let api = Api {
            store: store.clone(),
            webhooks: Webhooks::new(store.clone(), sandbox, clock, endpoints, slot),
            hub: hub.clone(),
            definitions,
            clock,
            body_room: api::body_room(),
            draining: self.draining.clone(),
            stop: self.stop.clone(),
        };
        let stop = || self.stop.clone();
        let inbox = controllers::inbox(store.clone(), activator, hub.clone(), clock, tray, stop());
        self.tasks.spawn(inbox);
        self.tasks.spawn(controllers::leases(store.clone(), hub.clone(), clock, stop()));
        self.tasks.spawn(controllers::dispatch(store, hub, clock, self.draining.clone()));
        self.tasks.spawn(api::serve(listener, api::router(Arc::new(api)), stop()));
    }

    /// Begins the worker inside the host, if there is one. It speaks to the host as any other does.
    fn employ(&mut self, data_dir: &DataDir, key: String, clock: Clock) -> anyhow::Result<()> {
        let Some(worker) = self.config.worker.clone() else { return Ok(()) };
        let identity = worker::identity::claim(data_dir.path(), || clock.worker_id())?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let settings = worker::Settings {
            host: format!("http://{}", self.address),
            key,
            id: identity.id.clone(),
            worker,
            now: || Clock.now(),
            stop: stop.clone(),
        };
        tasks.spawn(async move {
            if let Err(error) = worker::run(settings).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the worker ended");
            }
            drop(identity);
        });
        self.worker = Some(Embedded { tasks, stop });
        Ok(())
    }

    /// Long enough for the worker to wait for its programs, and then to hand their commands back.
    fn worker_grace(&self) -> Duration {
        let own = self.config.worker.as_ref().map_or(Duration::ZERO, |worker| worker.drain_grace);
        self.config.drain_grace.max(own) + HANDING_BACK
    }

    /// Takes nothing new, finishes or hands back what is in hand, and closes. Everything that was
    /// accepted is in the store.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.draining.cancel();
        if let Some(Embedded { tasks, stop }) = &self.worker {
            stop.cancel();
            tasks.close();
            if tokio::time::timeout(self.worker_grace(), tasks.wait()).await.is_err() {
                tracing::warn!("the worker did not end in time");
            }
        }
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.config.drain_grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("not everything ended in time; the store has it");
        }
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Everything that is wrong with a configuration beyond its own text: what its components say of
/// it, and, apart, the secrets that are not here.
///
/// # Errors
/// When the components themselves cannot be loaded.
pub async fn examine(config: &Config) -> anyhow::Result<(Problems, Problems)> {
    let data_dir = DataDir::open(&config.data_dir)?;
    let sandbox = open_sandbox(config, &data_dir).await?;
    let problems = check::problems(&config.definitions, &sandbox).await;
    Ok((problems, config::secrets::missing(&config.definitions)))
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    Ok(Store::open(&config.store_url).await?)
}

async fn open_sandbox(config: &Config, data_dir: &DataDir) -> anyhow::Result<Arc<Sandbox>> {
    let (limits, cache) = (config.limits, data_dir.component_cache());
    let plugins = config.definitions.plugins.clone();
    // Compiling takes its time.
    let open = move || Sandbox::open(limits, &plugins, &cache);
    Ok(Arc::new(tokio::task::spawn_blocking(open).await??))
}

fn invalid(config: &Config, problems: &Problems) -> anyhow::Error {
    anyhow::anyhow!("{} has errors:\n{problems}", config.path.display())
}

/// Where clients of this machine reach a host that listens on `bound`.
fn local(bound: SocketAddr) -> SocketAddr {
    match bound {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], bound.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, bound.port()).into()
        }
        bound => bound,
    }
}
