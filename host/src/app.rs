//! The host as a whole: what is opened, in which order it begins, and in which it ends.

mod data_dir;
mod embedded;
mod examine;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::activation::Activator;
use crate::activation::check::Checker;
use crate::admission::AdmissionControl;
use crate::api::{self, Api};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError};
use crate::controllers::{
    self, AuditRetention, Controllers, Driver, Registrar, ReloadError, Retention, Scheduler,
    SessionReconciler, TokenCleanup,
};
use crate::dispatch::hub::Hub;
use crate::dispatch::limits::Limits;
use crate::dispatch::poll::Polls;
use crate::egress::{Network, System};
use crate::ingress::inbox::{self, InboxReceiver};
use crate::ingress::{Extensions, Lifecycle, Observers, Webhooks};
use crate::metrics::Metrics;
use crate::model::id::ReplicaId;
use crate::model::problem::Problems;
use crate::model::secret::Secret;
use crate::sandbox::Sandbox;
use crate::schedule::Gate;
use crate::store::Store;
use crate::store::look::look;
use crate::worker;
use crate::worker::identity::{self, Identity};
pub use data_dir::DataDir;
use embedded::{Embedded, Place};
pub use examine::{Examined, examine};

/// How long the worker inside the host may take to stop its programs and hand their commands back.
const HANDING_BACK: Duration = Duration::from_secs(10);

/// How many connections may wait to be taken.
const BACKLOG: u32 = 4096;
/// How long the connections of workers have at least for what they have to say to the store.
const GOODBYES: Duration = Duration::from_secs(5);

/// A host that is running.
#[derive(Debug)]
pub struct Host {
    /// Where it is reached from this machine.
    pub address: SocketAddr,
    config: Config,
    registrar: Arc<Registrar>,
    store: Store,
    tasks: TaskTracker,
    draining: CancellationToken,
    stop: CancellationToken,
    worker: Option<Embedded>,
    /// The connections of workers, and what keeps the places of those that poll.
    links: TaskTracker,
    /// Its own for as long as it lives.
    _replica: Identity<ReplicaId>,
}

impl Host {
    /// Opens everything and begins to serve. What costs nothing is looked at first: nothing is
    /// compiled when it cannot be used, and no table is changed before all of the configuration is
    /// known to be right.
    ///
    /// # Errors
    /// When anything is not as configured; nothing runs then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let clock = Clock;
        let led = clock.follow_file();
        refuse(&config, config::secrets::missing(&config.declared))?;
        let network = Network::open(config.egress.clone(), Arc::new(System))?;
        let socket = bound(config.listen).with_context(|| {
            format!("cannot listen on {} (--listen takes another address)", config.listen)
        })?;
        let (data_dir, metrics) = (DataDir::open(&config.data_dir)?, Metrics::default());
        look(&config.store_url).await?;
        let sandbox = open_sandbox(&config, &data_dir, metrics.clone()).await?;
        let checker = Checker::new(Arc::clone(&sandbox));
        refuse(&config, checker.problems(&config.declared, &config.prompts).await)?;
        let store = open_store(&config, metrics.clone()).await?;
        // Only now: a sender is to be refused rather than kept waiting.
        let listener = socket.listen(BACKLOG).with_context(|| {
            format!("cannot listen on {} (--listen takes another address)", config.listen)
        })?;
        let address = config::reachable(listener.local_addr()?);
        // Only now: a host that cannot listen must not tell others what is defined.
        let key = data_dir.admin_key(&store, clock).await?;
        let own = own_secrets(&config, &key);
        let registrar = Registrar::open(config.clone(), store.clone(), checker, clock, own).await?;
        let registrar = Arc::new(registrar);
        let replica = identity::claim(data_dir.path(), identity::REPLICA, || clock.replica_id())?;
        let replica_id = replica.id.clone();
        let mut host = Self {
            address,
            store,
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            worker: None,
            links: TaskTracker::new(),
            registrar,
            config,
            _replica: replica,
        };
        let stopped = host.stop.clone();
        host.tasks.spawn(async move { stopped.run_until_cancelled(led).await });
        host.serve(listener, sandbox, network, metrics, replica_id, clock)?;
        data_dir.publish_address(address)?;
        host.employ(&data_dir, key, clock).await?;
        host.tasks.spawn(service::stay_alive(host.stop.clone()));
        service::ready(address);
        tracing::info!("ready on http://{address}");
        Ok(host)
    }

    fn serve(
        &self,
        listener: TcpListener,
        sandbox: Arc<Sandbox>,
        network: Network,
        metrics: Metrics,
        replica: ReplicaId,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let (store, hub) = (self.store.clone(), Hub::default());
        let (sender, receiver) = inbox::channel();
        let (registrar, catalog) = (Arc::clone(&self.registrar), self.registrar.catalog().clone());
        let limits = Limits::new(&self.config, catalog.clone());
        let gate = Gate::new(Arc::clone(&sandbox), catalog.clone());
        let admission = AdmissionControl::new(store.clone(), Arc::clone(&limits.queue));
        let activator = Activator::new(store.clone(), Arc::clone(&sandbox), clock, catalog.clone());
        let activator = Arc::new(activator.within(admission.clone()));
        let lifecycle = Lifecycle::new(
            store.clone(),
            Arc::clone(&sandbox),
            catalog.clone(),
            clock,
            sender.clone(),
        );
        self.watch(Arc::new(network), &sandbox, &catalog, &sender, clock);
        let controllers = self.drive(&activator, &hub, &gate, replica, metrics.clone(), clock);
        self.look_after(lifecycle, &activator, &hub, &limits, receiver, clock);
        let webhooks =
            Webhooks::new(store.clone(), sandbox, clock, catalog.clone(), sender.clone());
        let api = Api {
            store: store.clone(),
            webhooks: webhooks.map_err(anyhow::Error::msg)?,
            hub: hub.clone(),
            polls: Polls::new(clock, self.links.clone(), self.stop.clone()),
            links: self.links.clone(),
            inbox: sender,
            activator: Arc::clone(&activator),
            gate: gate.clone(),
            admission,
            turns: api::Turns::default(),
            limits: limits.clone(),
            catalog,
            registrar,
            controllers,
            clock,
            metrics,
            figures: api::Figures::default(),
            body_room: api::body_room(),
            stream_room: api::stream_room(),
            draining: self.draining.clone(),
            stop: self.stop.clone(),
        };
        let (router, places) = (api::router(Arc::new(api)), self.config.connections_max);
        self.tasks.spawn(api::serve(listener, router, places, self.stop.clone()));
        Ok(())
    }

    /// Begins what puts stored state right.
    fn drive(
        &self,
        activator: &Arc<Activator>,
        hub: &Hub,
        gate: &Gate,
        replica: ReplicaId,
        metrics: Metrics,
        clock: Clock,
    ) -> Controllers {
        let (store, hub) = (|| self.store.clone(), || hub.clone());
        let (settings, draining) = (self.config.controllers.clone(), self.draining.clone());
        let mut driver = Driver::new(store(), clock, replica, settings, metrics, draining);
        driver.register(controllers::WorkerHealth::new(store(), hub(), clock));
        driver.register(controllers::CommandRecovery::new(store(), hub(), clock));
        driver.register(SessionReconciler { store: store(), hub: hub(), clock });
        driver.register(controllers::RunRecovery::new(store(), hub(), clock));
        driver.register(controllers::Inbox::new(store(), Arc::clone(activator), hub(), clock));
        driver.register(TokenCleanup { store: store(), clock });
        let keep = self.config.audit.retention;
        driver.register(AuditRetention { store: store(), keep, clock });
        let keep = self.config.retention.clone();
        driver.register(Retention { store: store(), keep, clock });
        let scheduler = Scheduler { store: store(), hub: hub(), clock, gate: gate.clone() };
        let bell = driver.register(scheduler);
        driver.register(controllers::Timekeeping::new(store(), hub(), clock, Arc::clone(&bell)));
        let (mut changes, stop) = (self.registrar.catalog().changes(), self.draining.clone());
        self.tasks.spawn(async move {
            // Jobs may be among what has changed.
            while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                bell.notify_one();
            }
        });
        driver.start(&self.tasks)
    }

    /// Begins what this replica has to do for itself.
    fn look_after(
        &self,
        lifecycle: Lifecycle,
        activator: &Arc<Activator>,
        hub: &Hub,
        limits: &Limits,
        receiver: InboxReceiver,
        clock: Clock,
    ) {
        let (store, stop, draining) = (&self.store, &self.stop, &self.draining);
        self.tasks.spawn(controllers::activate_accepted(
            Arc::clone(activator),
            hub.clone(),
            receiver,
            stop.clone(),
        ));
        let lifecycle = Arc::new(lifecycle);
        self.supervise("lifecycle", {
            let stop = stop.clone();
            move || controllers::lifecycle(Arc::clone(&lifecycle), stop.clone())
        });
        self.supervise("gatherings", {
            let (activator, hub, stop) = (Arc::clone(activator), hub.clone(), stop.clone());
            move || {
                controllers::gatherings(Arc::clone(&activator), hub.clone(), clock, stop.clone())
            }
        });
        self.supervise("definitions", {
            let (registrar, stop) = (Arc::clone(&self.registrar), stop.clone());
            move || controllers::definitions(Arc::clone(&registrar), stop.clone())
        });
        self.supervise("hints", {
            let (store, hub, draining) = (store.clone(), hub.clone(), draining.clone());
            move || controllers::hints(store.clone(), hub.clone(), draining.clone())
        });
        self.supervise("attendance", {
            let (store, hub, stop) = (store.clone(), hub.clone(), stop.clone());
            move || controllers::attendance(store.clone(), hub.clone(), clock, stop.clone())
        });
        self.supervise("dispatch", {
            let (store, hub, limits) = (store.clone(), hub.clone(), limits.clone());
            let draining = draining.clone();
            move || {
                let (limits, draining) = (limits.clone(), draining.clone());
                controllers::dispatch(store.clone(), hub.clone(), clock, limits, draining)
            }
        });
    }

    fn supervise<L>(&self, name: &'static str, begin: impl Fn() -> L + Send + Sync + 'static)
    where
        L: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(controllers::supervised(name, begin));
    }

    /// Reads the configuration again and takes what it says, if all of it is right; else says in
    /// the log what is not.
    pub async fn reload(&self) {
        match self.registrar.reload(&self.store, false).await {
            Ok(_) => {}
            Err(ReloadError::InUse(left_behind)) => {
                let list: String = left_behind.iter().map(|left| format!("\n  {left}")).collect();
                tracing::error!(
                    "the configuration leaves others without what they name; nothing has changed \
                     (`hillock config reload --force` takes it all the same):{list}"
                );
            }
            Err(ReloadError::Config { error, .. }) => {
                let problems = error.problems();
                tracing::error!("the configuration has errors; nothing has changed:\n{problems}");
            }
            Err(ReloadError::Store(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "failed to reload the configuration");
            }
        }
    }

    /// Begins to poll for extensions and to watch for observers.
    fn watch(
        &self,
        network: Arc<Network>,
        sandbox: &Arc<Sandbox>,
        catalog: &Catalog,
        inbox: &inbox::InboxSender,
        clock: Clock,
    ) {
        let parts = || (self.store.clone(), Arc::clone(sandbox), catalog.clone(), inbox.clone());
        let (store, sandbox, known, sender) = parts();
        let extensions = Extensions::new(store, sandbox, known, clock, sender, network);
        let (store, sandbox, known, sender) = parts();
        let observers = Arc::new(Observers::new(store, sandbox, known, clock, sender));
        let (store, stop) = (|| self.store.clone(), || self.draining.clone());
        self.tasks.spawn(controllers::extensions(
            extensions,
            store(),
            catalog.clone(),
            clock,
            stop(),
        ));
        self.tasks.spawn(controllers::observers(
            observers,
            store(),
            catalog.clone(),
            clock,
            stop(),
        ));
    }

    /// Begins the worker inside the host, if there is one. It speaks to the host as any other does.
    async fn employ(
        &mut self,
        data_dir: &DataDir,
        key: String,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let place = Place {
            host: format!("http://{}", self.address),
            key,
            data_dir: data_dir.path().to_owned(),
            private: self.private(),
            changes: self.registrar.worker(),
            clock,
            stop: CancellationToken::new(),
        };
        self.worker = Some(Embedded::begin(place, &self.tasks).await?);
        Ok(())
    }

    /// What is not for the programs that run inside, at each moment.
    fn private(&self) -> worker::PrivateNow {
        let (config, catalog) = (self.config.clone(), self.registrar.catalog().clone());
        Arc::new(move || config.private(&catalog.now()))
    }

    /// Long enough for the worker to wait for its programs, and then to hand their commands back.
    fn worker_grace(&self) -> Duration {
        let worker = self.registrar.worker();
        let own = worker.borrow().as_ref().map_or(Duration::ZERO, |worker| worker.drain_grace);
        self.config.drain_grace.max(own) + HANDING_BACK
    }

    /// Takes nothing new, finishes or hands back what is in hand, and closes. Everything that was
    /// accepted is in the store.
    ///
    /// # Errors
    /// When the worker inside the host left with what the host has not acknowledged.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        service::stopping();
        self.draining.cancel();
        let worked = match self.worker.take() {
            Some(embedded) => embedded.end(self.worker_grace()).await,
            None => Ok(()),
        };
        self.stop.cancel();
        let grace = self.config.drain_grace;
        // No request is answered any more, then no worker is connected: each says goodbye to the
        // store, which closes last.
        ended(&self.tasks, grace).await;
        ended(&self.links, grace.max(GOODBYES)).await;
        self.store.close().await;
        tracing::info!("stopped");
        worked
    }
}

/// Waits for these for so long.
async fn ended(tasks: &TaskTracker, grace: Duration) {
    tasks.close();
    if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
        tracing::warn!(left = tasks.len(), "shutdown timed out; unfinished work is in the store");
    }
}

/// An end, when anything is wrong with the configuration.
fn refuse(config: &Config, problems: Problems) -> Result<(), ConfigError> {
    let invalid = |problems| ConfigError::Invalid { path: config.path.clone(), problems };
    problems.unless_any(()).map_err(invalid)
}

/// A place to listen at, which is taken and does not listen yet.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of a host before this one may linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn open_store(config: &Config, metrics: Metrics) -> anyhow::Result<Store> {
    Ok(Store::measured(&config.store_url, metrics).await?.with_log_limits(config.logs))
}

/// What only this host and its operators know.
fn own_secrets(config: &Config, key: &str) -> Vec<Secret> {
    let url = Url::parse(&config.store_url).ok();
    // As it stands in the URL: whoever prints it prints that.
    let password = url.as_ref().and_then(Url::password).unwrap_or_default();
    [key, password].into_iter().filter_map(|text| Secret::new(text.into())).collect()
}

async fn open_sandbox(
    config: &Config,
    data_dir: &DataDir,
    metrics: Metrics,
) -> anyhow::Result<Arc<Sandbox>> {
    let (limits, cache) = (config.limits, data_dir.component_cache());
    let plugins = config.plugins.clone();
    // Compiling takes its time.
    let open = move || Sandbox::open(limits, &plugins, &cache);
    Ok(Arc::new(tokio::task::spawn_blocking(open).await??.with_metrics(metrics)))
}
