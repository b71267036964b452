//! What is defined, brought into effect: at the start, when the files are read again, and whenever
//! the store says that something has changed.
//!
//! ```text
//!   files ── read, check all of it ── sync ─┐
//!   API ──── check ────────────── change ───┼─► store ── revision raised ──► refresh ──► catalog
//!   another replica ────────────────────────┘
//! ```
//! A configuration is taken whole or not at all, and what runs goes on with what it began with.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::activation::check::Checker;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::definitions::{self as specs, Declared};
use crate::config::{self, Config, ConfigError, Draft, secrets};
use crate::model::definition::{DefinitionKind, Definitions, Plugin};
use crate::model::name::Name;
use crate::model::problem::Problems;
use crate::model::prompts::Prompts;
use crate::model::redaction::Redaction;
use crate::model::secret::Secret;
use crate::store::definitions::{self, Counts, Dependant, LeftBehind, Synced, Unsynced};
use crate::store::{Store, StoreError};

/// How long another replica's change may go unnoticed.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many names that nobody has are said at a start.
const DANGLING_MAX: u32 = 100;

/// Keeps what is defined, and brings it into effect.
#[derive(Debug)]
pub struct Registrar {
    store: Store,
    checker: Checker,
    catalog: Catalog,
    clock: Clock,
    /// The host's own secrets, which no run may tell, beside those that definitions name.
    own: Vec<Secret>,
    /// As the host began with it: what needs a restart is still so.
    started: Config,
    /// What the worker inside the host is to run, if there is one.
    worker: watch::Sender<Option<config::Worker>>,
    /// Where the files have what is configured, by identifier.
    places: RwLock<HashMap<String, String>>,
    /// The revision in the catalog. Held while it is replaced, so that the newest stays.
    loaded: Mutex<i64>,
    /// Held while a configuration is taken.
    taking: Mutex<()>,
}

/// A configuration that was taken.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What it changed.
    pub counts: Counts,
    /// Its sections that take effect at the next start.
    pub restart_needed: Vec<&'static str>,
    /// Who names what is configured no more.
    pub left_behind: Vec<LeftBehind>,
    /// What is no error, and may not be meant so.
    pub warnings: Problems,
}

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The files are wrong; nothing has changed.
    #[error("{error}")]
    Config {
        /// What is wrong with them.
        error: ConfigError,
        /// Sections that say something else than at the start, and take effect at a start only: a
        /// plugin that is not there yet may be all that is wrong.
        restart_needed: Vec<&'static str>,
    },
    /// These would be left without what they name; nothing has changed.
    #[error("{} would be left without what they name", .0.len())]
    InUse(Vec<LeftBehind>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ConfigError> for ReloadError {
    fn from(error: ConfigError) -> Self {
        Self::Config { error, restart_needed: Vec::new() }
    }
}

impl Registrar {
    /// Takes the configuration, with which nothing is wrong by [`Checker`], and loads everything that
    /// is defined.
    ///
    /// # Errors
    /// When the store refuses it, or fails.
    pub async fn open(
        config: Config,
        store: Store,
        checker: Checker,
        clock: Clock,
        own: Vec<Secret>,
    ) -> Result<Self, ReloadError> {
        let registrar = Self {
            store,
            checker,
            catalog: Catalog::new(Definitions::default()),
            clock,
            own,
            started: config.clone(),
            worker: watch::Sender::new(config.worker.clone()),
            places: RwLock::default(),
            loaded: Mutex::new(-1),
            taking: Mutex::new(()),
        };
        registrar.take(&config, None).await?;
        registrar.warn_of_dangling().await?;
        Ok(registrar)
    }

    /// Says who names what is not there: it was there once, or a component needs a restart.
    async fn warn_of_dangling(&self) -> Result<(), StoreError> {
        for dangling in definitions::dangling(&self.store, DANGLING_MAX).await? {
            tracing::warn!("{dangling}, which is not there");
        }
        for problem in self.checker.absent(&self.catalog.now()).iter() {
            tracing::warn!("{} names the component {}", problem.path, problem.reason);
        }
        Ok(())
    }

    /// What is in effect.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What the worker inside the host is to run.
    pub fn worker(&self) -> watch::Receiver<Option<config::Worker>> {
        self.worker.subscribe()
    }

    /// The folder that relative paths of definitions are below.
    pub fn folder(&self) -> &Path {
        self.started.folder()
    }

    /// Where a configured definition stands, such as `triggers[0]`.
    pub fn place(&self, id: &str) -> Option<String> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Reads the files again and takes what they say, if all of it is right, for whoever has the
    /// store in hand. Unless that is meant, nobody else is left without what it names.
    ///
    /// # Errors
    /// When anything is wrong with them, somebody would be left behind, or the store fails.
    pub async fn reload(&self, store: &Store, force: bool) -> Result<Reloaded, ReloadError> {
        let _taking = self.taking.lock().await;
        let mut draft = self.started.draft_again()?;
        let config = draft.config.as_ref();
        let restart_needed = config.map_or_else(Vec::new, |config| self.restart_needed(config));
        if !restart_needed.is_empty() {
            let sections = restart_needed.join(", ");
            tracing::warn!(sections, "changed settings take effect after a restart");
        }
        self.complete(&mut draft).await;
        let config = match draft.sound() {
            Ok(config) => config,
            Err(error) => return Err(ReloadError::Config { error, restart_needed }),
        };
        let of_plugins = self.left_by_plugins(&config).await?;
        if !force && !of_plugins.is_empty() {
            return Err(ReloadError::InUse(of_plugins));
        }
        match self.take(&config, Some((store, force))).await {
            Ok(Synced { counts, mut left_behind }) => {
                self.take_worker(config.worker.clone());
                left_behind.extend(of_plugins);
                let warnings = warnings(&config);
                Ok(Reloaded { counts, restart_needed, left_behind, warnings })
            }
            Err(ReloadError::Config { error, .. }) => {
                Err(ReloadError::Config { error, restart_needed })
            }
            Err(error) => Err(error),
        }
    }

    fn restart_needed(&self, config: &Config) -> Vec<&'static str> {
        let loses_worker = self.worker.borrow().is_some() && config.worker.is_none();
        let mut sections = self.started.restart_needed(config);
        sections.extend(loses_worker.then_some("worker"));
        sections
    }

    /// Has the worker run what it is to run from now on. One that has begun stays.
    fn take_worker(&self, worker: Option<config::Worker>) {
        self.worker.send_if_modified(|present| {
            let is_another = worker.is_some() && *present != worker;
            if is_another {
                *present = worker;
            }
            is_another
        });
    }

    /// Who names a plugin that is declared no more: it is there until the next start.
    async fn left_by_plugins(&self, config: &Config) -> Result<Vec<LeftBehind>, StoreError> {
        let stays = |plugin: &&Plugin| config.plugins.iter().any(|one| one.name == plugin.name);
        let gone: Vec<&Name> = self
            .started
            .plugins
            .iter()
            .filter(|plugin| !stays(plugin))
            .map(|plugin| &plugin.name)
            .collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let mut left_behind = Vec::new();
        for stored in definitions::made_elsewhere(&self.store).await? {
            let Ok(definition) = stored.definition(self.folder()) else { continue };
            let named = definition.components();
            for component in named.into_iter().filter(|component| gone.contains(component)) {
                let who = Dependant { kind: stored.kind.as_str(), name: stored.name.clone() };
                let names = Dependant { kind: "plugin", name: component.to_string() };
                left_behind.push(LeftBehind::new(who, &stored.scope, names));
            }
        }
        Ok(left_behind)
    }

    async fn take(
        &self,
        config: &Config,
        by: Option<(&Store, bool)>,
    ) -> Result<Synced, ReloadError> {
        let invalid = |problems| ConfigError::Invalid { path: config.path.clone(), problems };
        let (declared, now) = (config.declared.clone(), self.clock.now());
        // Whoever sees a new definition finds where it stands, too.
        let places: HashMap<String, String> =
            config.declared.iter().map(|one| (one.id(), one.path.clone())).collect();
        self.places.write().unwrap_or_else(PoisonError::into_inner).extend(places.clone());
        let synced = match by {
            None => definitions::sync(&self.store, declared, now).await?.map_err(invalid)?,
            Some((store, force)) => {
                let reloaded = definitions::reload(store, declared, force, now).await?;
                reloaded.map_err(|unsynced| match unsynced {
                    Unsynced::Taken(problems) => ReloadError::from(invalid(problems)),
                    Unsynced::InUse(left_behind) => ReloadError::InUse(left_behind),
                })?
            }
        };
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = places;
        for left in &synced.left_behind {
            tracing::warn!("{left}, which is configured no more");
        }
        // Before the definitions that may name them.
        self.checker.replace_prompts(config.prompts.clone());
        // Though nothing may have changed in the store, secrets are read again.
        self.load(&mut *self.loaded.lock().await).await?;
        tracing::info!("definitions: {}", synced.counts);
        let doubtful = secrets::doubtful_in_effect(&self.catalog.now());
        for warning in config.passed_over.iter().chain(doubtful.iter()) {
            tracing::warn!("{warning}");
        }
        Ok(synced)
    }

    /// Holds what files say against this machine and the components they name.
    async fn complete(&self, draft: &mut Draft) {
        let mut prompts = self.checker.prompts();
        if let Some(config) = &draft.config {
            prompts = Arc::new(config.prompts.clone());
            draft.problems.append(secrets::missing(&config.declared));
            draft.problems.append(self.checker.problems(&config.declared, &prompts).await);
            draft.problems.append(self.of_partials(config).await);
        }
        draft.problems.append(self.checker.problems_beside(&draft.broken, &prompts).await);
    }

    /// Holds the partials of a configuration against the triggers in effect that it does not
    /// declare itself.
    async fn of_partials(&self, config: &Config) -> Problems {
        let mut problems = Problems::default();
        if *self.checker.prompts() == config.prompts {
            return problems;
        }
        for trigger in &self.catalog.now().triggers {
            let declared = self.place(&trigger.id.to_string()).is_some();
            if !declared && Prompts::is_named_in(&trigger.prompt) {
                let path = format!("prompts: the trigger `{}`", trigger.name);
                let found = self.checker.prompt_problems(&path, trigger, &config.prompts).await;
                problems.append(found);
            }
        }
        problems
    }

    /// A definition that somebody wants to make, or to have say something else, in its own words:
    /// parsed and held against everything.
    ///
    /// # Errors
    /// When the store fails. What is wrong with the definition is the answer.
    pub async fn read(
        &self,
        kind: DefinitionKind,
        id: &str,
        spec: Value,
    ) -> Result<Result<Declared, Problems>, StoreError> {
        self.refresh().await?;
        let (path, mut problems) = (kind.as_str().to_owned(), Problems::default());
        let parsed = specs::parse(kind, &path, &spec, Some(id), self.folder(), &mut problems);
        let Some(definition) = parsed else {
            problems.append(self.what_else(kind, &path, &spec, &problems).await);
            return Ok(Err(problems));
        };
        specs::resolve(&path, &definition, &self.catalog.now(), &mut problems);
        let declared = Declared { path, kind, spec, definition };
        problems.append(secrets::missing(std::slice::from_ref(&declared)));
        problems.append(
            self.checker.problems(std::slice::from_ref(&declared), &self.checker.prompts()).await,
        );
        Ok(problems.unless_any(declared))
    }

    /// What else is wrong with a definition that has these faults already.
    async fn what_else(
        &self,
        kind: DefinitionKind,
        path: &str,
        spec: &Value,
        faults: &Problems,
    ) -> Problems {
        let broken = specs::broken(kind, path, spec, faults, self.folder());
        let Some(broken) = broken else { return Problems::default() };
        let mut found = Problems::default();
        specs::resolve(path, &broken.declared.definition, &self.catalog.now(), &mut found);
        let mut found = broken.meant(found);
        let prompts = self.checker.prompts();
        found.append(self.checker.problems_beside(std::slice::from_ref(&broken), &prompts).await);
        found
    }

    /// What is no error in a definition of the store, and may not be meant so.
    pub fn doubts(&self, kind: DefinitionKind, id: &str, spec: &Value) -> Problems {
        let (path, mut faults) = (kind.as_str().to_owned(), Problems::default());
        let parsed = specs::parse(kind, &path, spec, Some(id), self.folder(), &mut faults);
        parsed.map_or_else(Problems::default, |definition| {
            secrets::doubtful(&[Declared { path, kind, spec: spec.clone(), definition }])
        })
    }

    /// Brings what has changed in the store into effect.
    ///
    /// # Errors
    /// When the store fails; what was in effect still is.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut loaded = self.loaded.lock().await;
        if definitions::revision(&self.store).await? != *loaded {
            self.load(&mut loaded).await?;
        }
        Ok(())
    }

    async fn load(&self, loaded: &mut i64) -> Result<(), StoreError> {
        let fresh = definitions::load(&self.store, self.folder()).await?;
        self.redact(&fresh.definitions);
        let queue_timeout = self.started.queue.timeout;
        self.catalog.replace(Definitions { queue_timeout, ..fresh.definitions });
        *loaded = fresh.revision;
        Ok(())
    }
}

impl Registrar {
    /// Has the store take these definitions' secrets out of what runs say, and the sandbox out of
    /// what components say that crash.
    fn redact(&self, definitions: &Definitions) {
        let named = secrets::known(definitions);
        match Redaction::of(self.own.iter().chain(&named)) {
            Ok(redaction) => {
                self.checker.redact(redaction.clone());
                self.store.redact(redaction);
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    "failed to update the secrets to redact from logs; the previous ones stay"
                )
            }
        }
    }
}

/// What is no error in a configuration, and may not be meant so.
fn warnings(config: &Config) -> Problems {
    let mut warnings = config.passed_over.clone();
    warnings.append(secrets::doubtful(&config.declared));
    warnings
}

/// Brings other replicas' changes into effect until `stop` is called.
pub async fn definitions(registrar: Arc<Registrar>, stop: CancellationToken) {
    let mut looks = interval(INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        if let Err(error) = registrar.refresh().await {
            tracing::error!(%error, "failed to load the definitions");
        }
    }
}
