//! Which component is called what, and what each can be used as.

use std::collections::HashMap;

use super::CALLS_MAX;
use super::bindings::{
    ExtensionSourcePre, FilterPre, HookSourcePre, ObserverSourcePre, PreFireHookPre,
    PromptTemplatePre, WebhookSourcePre,
};
use super::builtins::BUILTINS;
use super::cache::Cache;
use super::engine::Engine;
use super::error::{LoadError, SandboxError};
use super::guest::Guest;
use crate::config::content;
use crate::model::definition::Plugin;
use crate::model::envelope::Origin;
use crate::model::name::Name;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// The largest component, in bytes.
const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many calls one component may have under way, so that a slow one leaves room for the others:
/// more than threads could be at, and well below what the host allows altogether.
fn calls_max() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (4 * cores).clamp(8, CALLS_MAX / 2)
}

/// What a component can be used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Turns requests into events.
    WebhookSource,
    /// Decides whether a trigger fires.
    Filter,
    /// Renders prompts.
    PromptTemplate,
    /// Turns what happens in the host into events.
    HookSource,
    /// Turns what the host watches into events.
    ObserverSource,
    /// Looks elsewhere for events.
    ExtensionSource,
    /// Passes, rewrites or cancels a run before it is made.
    PreFireHook,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::WebhookSource,
        Self::Filter,
        Self::PromptTemplate,
        Self::HookSource,
        Self::ObserverSource,
        Self::ExtensionSource,
        Self::PreFireHook,
    ];

    /// The name of its world.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebhookSource => "webhook-source",
            Self::Filter => "filter",
            Self::PromptTemplate => "prompt-template",
            Self::HookSource => "hook-source",
            Self::ObserverSource => "observer-source",
            Self::ExtensionSource => "extension-source",
            Self::PreFireHook => "pre-fire-hook",
        }
    }

    /// The interface that a component of this kind exports.
    fn export(self) -> &'static str {
        match self {
            Self::WebhookSource => "hillock:plugin/source@0.1.0",
            Self::Filter => "hillock:plugin/filter-rules@0.1.0",
            Self::PromptTemplate => "hillock:plugin/template@0.1.0",
            Self::HookSource => "hillock:plugin/hook@0.1.0",
            Self::ObserverSource => "hillock:plugin/observer@0.1.0",
            Self::ExtensionSource => "hillock:plugin/extension@0.1.0",
            Self::PreFireHook => "hillock:plugin/pre-fire@0.1.0",
        }
    }
}

/// A component, linked for every world it exports.
pub(super) struct Component {
    pub(super) origin: Origin,
    pub(super) places: Semaphore,
    source: Option<WebhookSourcePre<Guest>>,
    filter: Option<FilterPre<Guest>>,
    template: Option<PromptTemplatePre<Guest>>,
    hook: Option<HookSourcePre<Guest>>,
    observer: Option<ObserverSourcePre<Guest>>,
    extension: Option<ExtensionSourcePre<Guest>>,
    pre_fire: Option<PreFireHookPre<Guest>>,
}

impl Component {
    fn link(
        engine: &Engine,
        origin: Origin,
        component: &wasmtime::component::Component,
    ) -> Result<Self, LoadError> {
        let linked = |kind: Kind| {
            if component.get_export_index(None, kind.export()).is_none() {
                return Ok(None);
            }
            let denied = |error: wasmtime::Error| LoadError::Denied {
                component: origin.component.clone(),
                kind: kind.as_str(),
                reason: format!("{error:#}"),
            };
            engine.linker(kind).instantiate_pre(component).map(Some).map_err(denied)
        };
        let invalid = |error: wasmtime::Error| LoadError::Invalid {
            component: origin.component.clone(),
            reason: format!("{error:#}"),
        };
        macro_rules! linked {
            ($kind:ident by $pre:ident) => {
                linked(Kind::$kind)?.map($pre::new).transpose().map_err(invalid)?
            };
        }
        let linked = Self {
            source: linked!(WebhookSource by WebhookSourcePre),
            filter: linked!(Filter by FilterPre),
            template: linked!(PromptTemplate by PromptTemplatePre),
            hook: linked!(HookSource by HookSourcePre),
            observer: linked!(ObserverSource by ObserverSourcePre),
            extension: linked!(ExtensionSource by ExtensionSourcePre),
            pre_fire: linked!(PreFireHook by PreFireHookPre),
            origin,
            places: Semaphore::new(calls_max()),
        };
        if linked.kinds().is_empty() {
            return Err(LoadError::NoWorld { component: linked.origin.component });
        }
        Ok(linked)
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        [
            self.source.is_some().then_some(Kind::WebhookSource),
            self.filter.is_some().then_some(Kind::Filter),
            self.template.is_some().then_some(Kind::PromptTemplate),
            self.hook.is_some().then_some(Kind::HookSource),
            self.observer.is_some().then_some(Kind::ObserverSource),
            self.extension.is_some().then_some(Kind::ExtensionSource),
            self.pre_fire.is_some().then_some(Kind::PreFireHook),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub(super) fn source(&self) -> Result<&WebhookSourcePre<Guest>, SandboxError> {
        self.source.as_ref().ok_or_else(|| self.not_a(Kind::WebhookSource))
    }

    pub(super) fn filter(&self) -> Result<&FilterPre<Guest>, SandboxError> {
        self.filter.as_ref().ok_or_else(|| self.not_a(Kind::Filter))
    }

    pub(super) fn template(&self) -> Result<&PromptTemplatePre<Guest>, SandboxError> {
        self.template.as_ref().ok_or_else(|| self.not_a(Kind::PromptTemplate))
    }

    pub(super) fn hook(&self) -> Result<&HookSourcePre<Guest>, SandboxError> {
        self.hook.as_ref().ok_or_else(|| self.not_a(Kind::HookSource))
    }

    pub(super) fn observer(&self) -> Result<&ObserverSourcePre<Guest>, SandboxError> {
        self.observer.as_ref().ok_or_else(|| self.not_a(Kind::ObserverSource))
    }

    pub(super) fn extension(&self) -> Result<&ExtensionSourcePre<Guest>, SandboxError> {
        self.extension.as_ref().ok_or_else(|| self.not_a(Kind::ExtensionSource))
    }

    pub(super) fn pre_fire(&self) -> Result<&PreFireHookPre<Guest>, SandboxError> {
        self.pre_fire.as_ref().ok_or_else(|| self.not_a(Kind::PreFireHook))
    }

    fn not_a(&self, kind: Kind) -> SandboxError {
        SandboxError::Kind { component: self.origin.component.clone(), wanted: kind.as_str() }
    }
}

/// All components by name.
#[derive(Default)]
pub(super) struct Registry {
    components: HashMap<Name, Component>,
    /// Built-in ones that nobody wanted.
    others: Vec<Name>,
}

impl Registry {
    /// The built-in components that are `wanted` and the operator's plugins, with what is wrong with
    /// these, each by its place among them.
    pub(super) fn load(
        engine: &Engine,
        cache: &Cache,
        plugins: &[Plugin],
        wanted: impl Fn(&Name) -> bool,
    ) -> Result<(Self, Vec<(usize, LoadError)>), LoadError> {
        let mut registry = Self::default();
        for (name, bytes) in BUILTINS {
            let invalid = |reason: crate::model::name::InvalidName| LoadError::Cache {
                path: (*name).into(),
                reason: reason.to_string(),
            };
            let name: Name = name.parse().map_err(invalid)?;
            if wanted(&name) {
                registry.add(engine, cache, name, env!("CARGO_PKG_VERSION"), bytes)?;
            } else {
                registry.others.push(name);
            }
        }
        let mut faults = Vec::new();
        for (i, plugin) in plugins.iter().enumerate() {
            faults.extend(registry.plug(engine, cache, plugin).err().map(|fault| (i, fault)));
        }
        Ok((registry, faults))
    }

    fn plug(&mut self, engine: &Engine, cache: &Cache, plugin: &Plugin) -> Result<(), LoadError> {
        let bytes = content::read(&plugin.path, COMPONENT_BYTES_MAX as u64);
        let bytes = bytes.map_err(|source| LoadError::Unreadable {
            component: plugin.name.clone(),
            path: plugin.path.clone(),
            source,
        })?;
        self.add(engine, cache, plugin.name.clone(), &plugin.version, &bytes)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.components.keys().chain(&self.others)
    }

    pub(super) fn find(&self, name: &Name) -> Option<&Component> {
        self.components.get(name)
    }

    fn add(
        &mut self,
        engine: &Engine,
        cache: &Cache,
        name: Name,
        version: &str,
        bytes: &[u8],
    ) -> Result<(), LoadError> {
        if self.names().any(|known| *known == name) {
            return Err(LoadError::Twice { component: name });
        }
        if bytes.len() > COMPONENT_BYTES_MAX {
            let (bytes, bytes_max) = (bytes.len(), COMPONENT_BYTES_MAX);
            return Err(LoadError::TooLarge { component: name, bytes, bytes_max });
        }
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
        let component = cache.load(engine, &name, &digest, bytes)?;
        let origin = Origin { component: name.clone(), version: version.to_owned(), digest };
        self.components.insert(name, Component::link(engine, origin, &component)?);
        Ok(())
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.components.keys()).finish()
    }
}
