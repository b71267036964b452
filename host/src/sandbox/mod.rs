//! Everything that runs foreign code: WebAssembly components behind `hillock:plugin`.
//!
//! ```text
//!   Sandbox ─ registry ─ which component is called what
//!           ├ call ───── one call: limits set, resource lent, outcome told apart
//!           ├ pool ───── instances to be had again: same component, config and workspace only
//!           ├ guest ──── one instance's state; what the host lends it is in imports
//!           └ sources ── the calls on hooks, observers, extensions and pre-fire hooks
//! ```
//! A call ends in one of three ways: the guest answers (and its answer may be a refusal), it
//! crashes, or it exceeds a limit. A component sees no file, no network, no environment; its clock
//! and its randomness are functions of the event, so that the same event, component and
//! configuration give the same answer. An extension alone has the real time, and fetches what its
//! caller lets it ([`Fetch`]). Nothing outside this module knows wasmtime.

mod bindings;
mod builtins;
mod cache;
mod call;
mod complaint;
mod convert;
mod engine;
mod error;
mod extension;
mod guest;
mod guest_clock;
mod imports;
mod limits;
mod pool;
mod provenance;
mod registry;
mod request;
mod signal;
mod sources;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;
use wasmtime::component::Resource;

use crate::config::Limits;
use crate::metrics::Metrics;
use crate::model::content::Content;
use crate::model::definition::Plugin;
use crate::model::envelope::{Envelope, Origin};
use crate::model::name::Name;
use crate::model::problem::Problem;
use crate::model::prompts::{Composed, Prompts};
use crate::model::redaction::Redaction;
use crate::model::scope::Scope;
use bindings::{
    ExtensionSource, Filter, HookSource, ObserverSource, PreFireHook, PromptTemplate, WebhookSource,
};
use call::Call;
use complaint::Secrets;
pub use error::{Limit, LoadError, SandboxError};
pub use extension::{
    Fetch, Fetched, HttpError, HttpRequest, HttpResponse, Poll, PollRefusal, Polled,
};
use guest_clock::GuestClock;
use imports::Incoming;
use pool::Pool;
pub use registry::Kind;
use registry::{Component, Registry};
pub use request::{
    Activation, EndpointSecret, Identity, Outcome, Received, Rejection, Reply, Request,
};
pub use signal::{Draft, FirePoint, Notice, Observation, PreFire, Signal, State, Subject};

/// How many calls may be in guests at once; the pooling allocator has room for them and for the
/// idle instances.
const CALLS_MAX: usize = 64;
/// How many calls may be in guests that wait for the network, beside the others: they must not
/// keep anybody else waiting.
const WAITING_CALLS_MAX: usize = 32;

/// The component whose templates put partials in. Others may mean anything by `{{>`.
pub const WITH_PARTIALS: &str = "handlebars";

fn takes_partials(template: &Name) -> bool {
    template.as_str() == WITH_PARTIALS
}

/// What a filter says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterVerdict {
    /// It passes.
    Matched,
    /// It does not, because of this clause.
    Unmatched(String),
}

/// What a template makes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt.
    pub prompt: String,
    /// Whose words it holds.
    pub content: Content,
}

/// Runs components.
#[derive(Debug)]
pub struct Sandbox {
    engine: engine::Engine,
    registry: Registry,
    calls: Semaphore,
    waiting_calls: Semaphore,
    slow: Semaphore,
    sources: Pool<WebhookSource>,
    filters: Pool<Filter>,
    templates: Pool<PromptTemplate>,
    hooks: Pool<HookSource>,
    observers: Pool<ObserverSource>,
    extensions: Pool<ExtensionSource>,
    pre_fire_hooks: Pool<PreFireHook>,
    prompts: RwLock<Arc<Prompts>>,
    metrics: Metrics,
    secrets: Secrets,
}

impl Sandbox {
    /// Makes the engine and loads the built-in components and these plugins; what is compiled is
    /// kept below `cache_dir`, which must be the host's own.
    ///
    /// # Errors
    /// When a component cannot be read or compiled, or imports what it is not granted.
    pub fn open(limits: Limits, plugins: &[Plugin], cache_dir: &Path) -> Result<Self, LoadError> {
        let (opened, faults) = Self::open_only(limits, plugins, cache_dir, |_| true)?;
        match faults.into_iter().next() {
            Some((_, fault)) => Err(fault),
            None => Ok(opened),
        }
    }

    /// The same with those built-in components alone that are `wanted`, and with everything that is
    /// wrong with the plugins, each by its place among them: for who only looks.
    ///
    /// # Errors
    /// When there can be no sandbox at all.
    pub fn open_only(
        limits: Limits,
        plugins: &[Plugin],
        cache_dir: &Path,
        wanted: impl Fn(&Name) -> bool,
    ) -> Result<(Self, Vec<(usize, LoadError)>), LoadError> {
        let engine = engine::Engine::new(limits)?;
        let cache = cache::Cache::open(cache_dir, &engine)?;
        let (registry, faults) = Registry::load(&engine, &cache, plugins, wanted)?;
        let opened = Self {
            engine,
            registry,
            calls: Semaphore::new(CALLS_MAX),
            waiting_calls: Semaphore::new(WAITING_CALLS_MAX),
            slow: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            sources: Pool::default(),
            filters: Pool::default(),
            templates: Pool::default(),
            hooks: Pool::default(),
            observers: Pool::default(),
            extensions: Pool::default(),
            pre_fire_hooks: Pool::default(),
            prompts: RwLock::default(),
            metrics: Metrics::default(),
            secrets: Secrets::default(),
        };
        Ok((opened, faults))
    }

    /// The names of all components, also of those that nobody wanted.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.registry.names()
    }

    /// The partials that templates can put in.
    pub fn prompts(&self) -> Arc<Prompts> {
        Arc::clone(&self.prompts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces them. Who has begun to render with the old ones ends with them.
    pub fn replace_prompts(&self, prompts: Prompts) {
        *self.prompts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(prompts);
    }

    /// From now on, takes out of what crashed components say what this one knows.
    pub fn redact(&self, redaction: Redaction) {
        self.secrets.set(redaction);
    }

    /// The same, and its calls are measured.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// What the component called `name` can be used as; none when there is none of that name.
    pub fn kinds(&self, name: &Name) -> Option<Vec<Kind>> {
        self.registry.find(name).map(Component::kinds)
    }

    /// The component called `name`, as it is now.
    ///
    /// # Errors
    /// When there is none.
    pub fn origin(&self, name: &Name) -> Result<&Origin, SandboxError> {
        Ok(&self.component(name)?.origin)
    }

    /// Has a source component read a request. Its clock and randomness are those of the request.
    ///
    /// # Errors
    /// When the component crashes or exceeds a limit.
    pub async fn receive(
        &self,
        source: &Name,
        scope: &Scope,
        request: Request,
    ) -> Result<Received, SandboxError> {
        let component = self.component(source)?;
        let config = Arc::clone(&request.config);
        let call = Call {
            component,
            pre: component.source()?,
            pool: &self.sources,
            scope,
            text: &config,
            clock: GuestClock::new(request.received_at, request.id.as_str()),
            lent: Incoming::new(request),
        };
        // What was verified outlives a call whose answer is too large.
        let proof = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&proof);
        let called = self
            .call(call, |world, store, request, _| {
                Box::pin(async move {
                    let lent = Resource::new_borrow(request.rep());
                    let source = world.hillock_plugin_source();
                    let answer = source.call_receive(&mut *store, request).await;
                    if answer.as_ref().is_err_and(call::is_of_the_answer) {
                        let incoming: &Incoming = store.data().table.get(&lent)?;
                        *kept.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(incoming.proof.clone());
                    }
                    answer
                })
            })
            .await;
        let proof = proof.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (called, proof) {
            (Ok((answer, incoming)), _) => {
                Ok(convert::received(&component.origin, incoming, answer))
            }
            (Err(SandboxError::Exceeded { limit: limit @ Limit::Output(_), .. }), Some(proof)) => {
                Ok(convert::too_much(&component.origin, proof, limit))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Has a filter component decide on an event.
    ///
    /// # Errors
    /// When the component refuses its configuration or the event, crashes or exceeds a limit.
    pub async fn matches(
        &self,
        filter: &Name,
        config: &str,
        envelope: &Envelope,
    ) -> Result<FilterVerdict, SandboxError> {
        let (scope, clock) = (&envelope.event().scope, GuestClock::of(envelope));
        let call = self.filter_call(filter, config, scope, clock, envelope.clone())?;
        let origin = call.origin();
        let (answer, _) = self
            .call(call, |world, store, event, config| {
                Box::pin(world.hillock_plugin_filter_rules().call_matches(store, event, config))
            })
            .await?;
        convert::verdict(origin, answer)
    }

    /// Has a template component render an event. What the prompt holds is the component's word, or
    /// what it could have put there when it says nothing.
    ///
    /// # Errors
    /// When the event has not what the template needs, or the component crashes or exceeds a
    /// limit.
    pub async fn render(
        &self,
        template: &Name,
        text: &str,
        envelope: &Envelope,
    ) -> Result<Rendered, SandboxError> {
        let (scope, clock) = (&envelope.event().scope, GuestClock::of(envelope));
        let prompts = self.prompts();
        let composed = takes_partials(template).then(|| prompts.compose(text));
        let text = composed.as_ref().map_or(text, |composed| &*composed.text);
        let call = self.template_call(template, text, scope, clock, envelope.clone())?;
        let origin = call.origin();
        let ((answer, content), _) = self
            .call(call, |world, store, event, text| {
                Box::pin(async move {
                    let template = world.hillock_plugin_template();
                    let answer = template.call_render(&mut *store, event, text).await?;
                    Ok((answer, store.data().provenance.content()))
                })
            })
            .await?;
        Ok(Rendered { prompt: convert::prompt(origin, answer)?, content })
    }

    /// What a filter component finds wrong with a configuration.
    ///
    /// # Errors
    /// When the component crashes or exceeds a limit.
    pub async fn check_filter(
        &self,
        filter: &Name,
        config: &str,
        scope: &Scope,
    ) -> Result<Vec<Problem>, SandboxError> {
        let call = self.filter_call(filter, config, scope, GuestClock::of_a_check(), ())?;
        let (diagnostics, ()) = self
            .call(call, |world, store, _, config| {
                Box::pin(world.hillock_plugin_filter_rules().call_check(store, config))
            })
            .await?;
        Ok(convert::problems(diagnostics))
    }

    /// What a template component finds wrong with a template, and with those of these partials that
    /// it puts in.
    ///
    /// # Errors
    /// When the component crashes or exceeds a limit.
    pub async fn check_template(
        &self,
        template: &Name,
        text: &str,
        prompts: &Prompts,
        scope: &Scope,
    ) -> Result<Vec<Problem>, SandboxError> {
        if !takes_partials(template) {
            return self.check_text(template, text, scope).await;
        }
        self.check_composed(template, &prompts.compose(text), scope).await
    }

    /// What is wrong with partials, whoever puts them in.
    ///
    /// # Errors
    /// When the component that reads them crashes or exceeds a limit.
    pub async fn check_prompts(&self, prompts: &Prompts) -> Result<Vec<Problem>, SandboxError> {
        match (prompts.alone(), WITH_PARTIALS.parse()) {
            (Some(all), Ok(template)) => self.check_composed(&template, &all, &Scope::Global).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn check_composed(
        &self,
        template: &Name,
        composed: &Composed<'_>,
        scope: &Scope,
    ) -> Result<Vec<Problem>, SandboxError> {
        let of_partial = |Problem { path, reason }| match composed.in_partial(&path) {
            Some((name, at)) => Problem {
                path: String::new(),
                reason: format!("the partial `{name}`, at {at}: {reason}"),
            },
            None => Problem { path, reason },
        };
        let found = self.check_text(template, &composed.text, scope).await?;
        Ok(found.into_iter().map(of_partial).collect())
    }

    async fn check_text(
        &self,
        template: &Name,
        text: &str,
        scope: &Scope,
    ) -> Result<Vec<Problem>, SandboxError> {
        let call = self.template_call(template, text, scope, GuestClock::of_a_check(), ())?;
        let (diagnostics, ()) = self
            .call(call, |world, store, _, text| {
                Box::pin(world.hillock_plugin_template().call_check(store, text))
            })
            .await?;
        Ok(convert::problems(diagnostics))
    }

    fn filter_call<'c, L>(
        &'c self,
        name: &Name,
        text: &'c str,
        scope: &'c Scope,
        clock: GuestClock,
        lent: L,
    ) -> Result<Call<'c, Filter, L>, SandboxError> {
        let component = self.component(name)?;
        let (pre, pool) = (component.filter()?, &self.filters);
        Ok(Call { component, pre, pool, scope, text, clock, lent })
    }

    fn template_call<'c, L>(
        &'c self,
        name: &Name,
        text: &'c str,
        scope: &'c Scope,
        clock: GuestClock,
        lent: L,
    ) -> Result<Call<'c, PromptTemplate, L>, SandboxError> {
        let component = self.component(name)?;
        let (pre, pool) = (component.template()?, &self.templates);
        Ok(Call { component, pre, pool, scope, text, clock, lent })
    }

    fn component(&self, name: &Name) -> Result<&Component, SandboxError> {
        self.registry.find(name).ok_or_else(|| SandboxError::Unknown { component: name.clone() })
    }
}
