//! The calls on hooks, observers, extensions and pre-fire hooks.

use std::sync::Arc;

use super::call::Call;
use super::convert::{self, signals};
use super::extension::{Fetch, Outside, Poll, PollRefusal, Polled};
use super::guest_clock::GuestClock;
use super::pool::{Pool, World};
use super::registry::{Component, Kind};
use super::signal::{Draft, GuestState, Notice, Observation, PreFire, Signal, State};
use super::{Sandbox, SandboxError};
use crate::model::name::Name;
use crate::model::problem::Problem;
use crate::model::prompts::Prompts;
use crate::model::scope::Scope;

impl Sandbox {
    /// Has a hook component make events of what happened in the host.
    ///
    /// # Errors
    /// When the component makes events that it may not, crashes or exceeds a limit.
    pub async fn notice(
        &self,
        component: &Name,
        scope: &Scope,
        notice: Notice,
    ) -> Result<Vec<Signal>, SandboxError> {
        let config = Arc::clone(&notice.config);
        let clock = GuestClock::new(notice.at, &notice.id);
        let call = self.prepared(component, Component::hook, &self.hooks, &config, scope, clock)?;
        let origin = call.origin();
        let occurrence = signals::occurrence(notice, scope);
        let (said, ()) = self
            .call(call, |world, store, _, _| {
                Box::pin(async move {
                    world.hillock_plugin_hook().call_notice(store, &occurrence).await
                })
            })
            .await?;
        signals::signals(origin, "hook", said)
    }

    /// Has an observer component make events of what the host saw. Gives back its state as it is
    /// after the call, to be kept together with the events.
    ///
    /// # Errors
    /// When the component makes events that it may not, crashes or exceeds a limit.
    pub async fn observe(
        &self,
        component: &Name,
        scope: &Scope,
        observation: Observation,
        state: State,
    ) -> Result<(Vec<Signal>, State), SandboxError> {
        let config = Arc::clone(&observation.config);
        let clock = GuestClock::new(observation.at, &observation.id);
        let subject = observation.subject;
        let call =
            self.prepared(component, Component::observer, &self.observers, &config, scope, clock)?;
        let origin = call.origin();
        let observation = signals::observation(observation);
        let ((said, state), ()) = self
            .call(call, |world, store, _, _| {
                Box::pin(async move {
                    store.data_mut().notebook = GuestState::new(state);
                    let observer = world.hillock_plugin_observer();
                    let said = observer.call_observe(&mut *store, &observation).await?;
                    Ok((said, store.data_mut().notebook.take()))
                })
            })
            .await?;
        Ok((signals::signals(origin, subject.as_str(), said)?, state))
    }

    /// Has an extension component look for events. It may take 30 seconds, for most of which it
    /// waits; what it fetches goes through `fetch`.
    ///
    /// # Errors
    /// When the component makes events that it may not, crashes or exceeds a limit. That it found
    /// nothing it could use is an answer, the inner result.
    pub async fn poll(
        &self,
        component: &Name,
        scope: &Scope,
        poll: Poll,
        state: State,
        fetch: Arc<dyn Fetch>,
    ) -> Result<Result<Polled, PollRefusal>, SandboxError> {
        let config = Arc::clone(&poll.config);
        let clock = GuestClock::new(poll.now, poll.name.as_str());
        let call = self.prepared(
            component,
            Component::extension,
            &self.extensions,
            &config,
            scope,
            clock,
        )?;
        let origin = call.origin();
        let outside = Outside::new(fetch, poll.now, self.metrics.clone());
        let context = signals::context(poll);
        let ((said, state), ()) = self
            .call(call, |world, store, _, _| {
                Box::pin(async move {
                    store.data_mut().notebook = GuestState::new(state);
                    store.data_mut().outside = Some(outside);
                    let extension = world.hillock_plugin_extension();
                    let said = extension.call_poll(&mut *store, &context).await?;
                    Ok((said, store.data_mut().notebook.take()))
                })
            })
            .await?;
        signals::polled(origin, said, state)
    }

    /// Has a pre-fire hook component decide on a run about to be made.
    ///
    /// # Errors
    /// When the component writes too long a prompt, crashes or exceeds a limit.
    pub async fn pre_fire(&self, component: &Name, draft: Draft) -> Result<PreFire, SandboxError> {
        let config = Arc::clone(&draft.config);
        let scope = draft.scope.clone();
        let clock = GuestClock::new(draft.at, &draft.id);
        let call = self.prepared(
            component,
            Component::pre_fire,
            &self.pre_fire_hooks,
            &config,
            &scope,
            clock,
        )?;
        let origin = call.origin();
        let draft = signals::draft(draft);
        let (said, ()) = self
            .call(call, |world, store, _, _| {
                Box::pin(async move {
                    world.hillock_plugin_pre_fire().call_pre_fire(store, &draft).await
                })
            })
            .await?;
        signals::decision(origin, said)
    }

    /// What a component of this kind finds wrong with a configuration, or with a template where
    /// that is what the kind has. Webhook sources have nothing to say of theirs.
    ///
    /// # Errors
    /// When the component crashes or exceeds a limit.
    pub async fn check_config(
        &self,
        kind: Kind,
        component: &Name,
        config: &str,
        scope: &Scope,
    ) -> Result<Vec<Problem>, SandboxError> {
        macro_rules! checked {
            ($interface:ident of $pre:ident in $pool:ident) => {{
                let (pool, clock) = (&self.$pool, GuestClock::of_a_check());
                let pre = Component::$pre;
                let call = self.prepared(component, pre, pool, config, scope, clock)?;
                let (found, ()) = self
                    .call(call, |world, store, _, config| {
                        Box::pin(world.$interface().call_check(store, config))
                    })
                    .await?;
                Ok(convert::problems(found))
            }};
        }
        match kind {
            Kind::WebhookSource => self.component(component)?.source().map(|_| Vec::new()),
            Kind::Filter => self.check_filter(component, config, scope).await,
            Kind::PromptTemplate => {
                self.check_template(component, config, &Prompts::default(), scope).await
            }
            Kind::HookSource => checked!(hillock_plugin_hook of hook in hooks),
            Kind::ObserverSource => checked!(hillock_plugin_observer of observer in observers),
            Kind::ExtensionSource => checked!(hillock_plugin_extension of extension in extensions),
            Kind::PreFireHook => checked!(hillock_plugin_pre_fire of pre_fire in pre_fire_hooks),
        }
    }

    fn prepared<'c, W: World>(
        &'c self,
        name: &Name,
        pre: fn(&Component) -> Result<&W::Pre, SandboxError>,
        pool: &'c Pool<W>,
        text: &'c str,
        scope: &'c Scope,
        clock: GuestClock,
    ) -> Result<Call<'c, W, ()>, SandboxError> {
        let component = self.component(name)?;
        Ok(Call { component, pre: pre(component)?, pool, scope, text, clock, lent: () })
    }
}
