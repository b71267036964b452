//! The stages between an event and a run that foreign components decide: filter, template, and
//! pre-fire hooks.

use super::{Activator, Unfired};
use crate::model::content::Content;
use crate::model::decision::Verdict;
use crate::model::definition::{Definitions, Trigger, Untrusted, prompt_fault};
use crate::model::envelope::{Envelope, Event};
use crate::model::run::{NewRun, Owner, Stages, Terms};
use crate::pre_fire;
use crate::sandbox::{Draft, FilterVerdict, FirePoint, Rendered, SandboxError};
use crate::store::firing::Firing;
use crate::trace;

/// Why a trigger with `untrusted = "fenced"` does not render.
const UNFENCED: &str = "the prompt has the sender's words outside of a fence, and the trigger's \
    `untrusted` is `fenced`: print them with {{fence …}}";

/// A prompt that is ready to be a run's.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) content: Content,
    pub(super) stages: Stages,
}

impl Activator {
    /// Asks the trigger's filter.
    pub(super) async fn pass(&self, trigger: &Trigger, envelope: &Envelope) -> Result<(), Unfired> {
        let Some(filter) = &trigger.filter else { return Ok(()) };
        match self.sandbox.matches(&filter.component, &filter.config, envelope).await {
            Ok(FilterVerdict::Matched) => Ok(()),
            Ok(FilterVerdict::Unmatched(clause)) => Err(Verdict::Filtered(clause).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the trigger's template make a prompt, and the pre-fire hooks look at it.
    pub(super) async fn render(
        &self,
        definitions: &Definitions,
        trigger: &Trigger,
        envelope: &Envelope,
    ) -> Result<Prompt, Unfired> {
        let mut prompt = self.prompt(trigger, envelope).await?;
        let hooks = pre_fire::asked(definitions, &trigger.scope, FirePoint::Trigger);
        if hooks.is_empty() {
            return Ok(prompt);
        }
        let draft = Draft {
            id: format!("{}:{}", envelope.event().id, trigger.id),
            point: FirePoint::Trigger,
            name: trigger.name.clone(),
            at: envelope.event().received_at,
            scope: trigger.scope.clone(),
            agent: trigger.agent.clone(),
            prompt: prompt.text,
            event: Some(envelope.to_json().to_string()),
            config: "".into(),
        };
        match pre_fire::ask(&self.sandbox, &hooks, draft).await? {
            pre_fire::Outcome::Passed { prompt: text, origins } => {
                (prompt.text, prompt.stages.hooks) = (text, origins);
                Ok(prompt)
            }
            pre_fire::Outcome::Canceled { hook, reason } => {
                Err(Verdict::Canceled(format!("`{hook}`: {reason}")).into())
            }
        }
    }

    /// The run that a trigger makes of an event.
    pub(super) fn firing(
        &self,
        definitions: &Definitions,
        trigger: &Trigger,
        event: &Event,
        prompt: Prompt,
    ) -> Firing {
        let Trigger { scope, agent, demands, .. } = trigger;
        let run = NewRun {
            id: self.clock.run_id(),
            scope: trigger.scope.clone(),
            owner: Owner::Trigger { id: trigger.id.clone(), name: trigger.name.clone() },
            event_id: Some(event.id.clone()),
            fire: None,
            agent: trigger.agent.clone(),
            prompt: prompt.text,
            content: prompt.content,
            task: None,
            priority: trigger.priority,
            retry: trigger.retry,
            depth: event.depth,
            causes: event.causes.clone(),
            stages: prompt.stages,
            terms: Terms {
                traceparent: Some(trace::here(self.clock)),
                ..definitions.terms(scope, agent, demands, prompt.content)
            },
            created_at: self.clock.now(),
        };
        Firing { run, command_id: self.clock.command_id(), limit: trigger.fire_limit }
    }

    async fn prompt(&self, trigger: &Trigger, envelope: &Envelope) -> Result<Prompt, Unfired> {
        match self.sandbox.render(&trigger.template, &trigger.prompt, envelope).await {
            Ok(Rendered { prompt: text, content }) => match unfit(trigger, &text, content) {
                Some(why) => Err(Verdict::RenderError(why).into()),
                None => Ok(Prompt { text, content, stages: self.stages(trigger, envelope)? }),
            },
            Err(SandboxError::Refused { reason, .. }) => Err(Verdict::RenderError(reason).into()),
            Err(error) => Err(error.into()),
        }
    }

    fn stages(&self, trigger: &Trigger, envelope: &Envelope) -> Result<Stages, SandboxError> {
        let component = |name| self.sandbox.origin(name).cloned();
        Ok(Stages {
            source: Some(envelope.event().origin.clone()),
            filter: trigger.filter.as_ref().map(|f| component(&f.component)).transpose()?,
            template: Some(component(&trigger.template)?),
            hooks: Vec::new(),
        })
    }
}

/// Why a prompt cannot be a run's, if it cannot.
fn unfit(trigger: &Trigger, prompt: &str, content: Content) -> Option<String> {
    let refuses = trigger.untrusted == Untrusted::Fenced && content == Content::Unfenced;
    prompt_fault(prompt).or_else(|| refuses.then(|| UNFENCED.to_owned()))
}
