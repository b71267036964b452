//! Trials: what a trigger would make of an event, without firing.

use super::{ActivationError, Activator, Unfired, guard};
use crate::model::content::Content;
use crate::model::decision::Verdict;
use crate::model::definition::Trigger;
use crate::model::envelope::Envelope;
use crate::model::run::Stages;

/// What a trigger would make of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A run, if its limit has room.
    WouldFire,
    /// A run, if its limit has room, after it has waited for others.
    WouldWait,
    /// Nothing: it does not consider the event; says why.
    NotConsidered(String),
    /// No run.
    WouldNot(Verdict),
}

impl Answer {
    /// The answer's word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::WouldFire | Self::WouldWait => "would_fire",
            Self::NotConsidered(_) => "not_considered",
            Self::WouldNot(verdict) => verdict.outcome().as_str(),
        }
    }

    /// What there is to say to it.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::WouldFire => None,
            Self::WouldWait => Some("it would wait for others first, and fire once for all"),
            Self::NotConsidered(why) => Some(why),
            Self::WouldNot(Verdict::Disabled) => Some("it is switched off; else it would fire"),
            Self::WouldNot(verdict) => verdict.reason(),
        }
    }
}

/// A trial's result.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The answer.
    pub answer: Answer,
    /// The prompt and what it holds, when it came to one.
    pub prompt: Option<(String, Content)>,
    /// The components that made it.
    pub stages: Option<Stages>,
}

impl Activator {
    /// Tries a trigger on an event: its filter, its template and the pre-fire hooks are asked, and
    /// nothing is kept. A gathering and the fire limit are left out.
    ///
    /// # Errors
    /// When it cannot be said: a component is busy, or the store fails.
    pub async fn test(
        &self,
        trigger: &Trigger,
        envelope: &Envelope,
    ) -> Result<Trial, ActivationError> {
        let definitions = self.catalog.now();
        let event = envelope.event();
        if let Some(why) = trigger.overlooks(event, definitions.owner_of(event)) {
            return Ok(Trial::without_prompt(Answer::NotConsidered(why.to_string())));
        }
        let ancestors = guard::ancestors(&self.store, event).await?;
        let tried = async {
            guard::check(trigger, event, &ancestors)?;
            self.pass(trigger, envelope).await?;
            self.render(&definitions, trigger, envelope).await
        };
        match tried.await {
            Ok(prompt) => {
                let answer = match (&trigger.gather, trigger.enabled) {
                    (_, false) => Answer::WouldNot(Verdict::Disabled),
                    (Some(_), true) => Answer::WouldWait,
                    (None, true) => Answer::WouldFire,
                };
                let (stages, prompt) = (Some(prompt.stages), Some((prompt.text, prompt.content)));
                Ok(Trial { answer, prompt, stages })
            }
            Err(Unfired::Because(verdict)) => Ok(Trial::without_prompt(Answer::WouldNot(verdict))),
            Err(Unfired::Busy(error)) => Err(ActivationError::Busy(error)),
        }
    }
}

impl Trial {
    fn without_prompt(answer: Answer) -> Self {
        Self { answer, prompt: None, stages: None }
    }
}
