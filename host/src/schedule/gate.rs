//! Pre-fire hooks of jobs: asked about each draft before it is claimed.

use std::sync::Arc;

use crate::catalog::Catalog;
use crate::model::definition::Definitions;
use crate::model::scope::Scope;
use crate::pre_fire::{self, Outcome};
use crate::sandbox::{self, FirePoint, Sandbox, SandboxError};
use crate::store::schedules::Draft;

/// What stands between a draft and its claim.
#[derive(Clone, Debug, Default)]
pub struct Gate(Option<(Arc<Sandbox>, Catalog)>);

impl Gate {
    /// Asks the hooks that are defined. The default asks nobody.
    pub fn new(sandbox: Arc<Sandbox>, catalog: Catalog) -> Self {
        Self(Some((sandbox, catalog)))
    }

    /// What is defined, by which drafts are made.
    pub(super) fn definitions(&self) -> Arc<Definitions> {
        self.0.as_ref().map(|(_, catalog)| catalog.now()).unwrap_or_default()
    }

    /// Whether anybody is asked about jobs of this scope.
    pub(super) fn asks_about(&self, scope: &Scope) -> bool {
        let asked = |(_, catalog): &(Arc<Sandbox>, Catalog)| {
            !pre_fire::asked(&catalog.now(), scope, FirePoint::Job).is_empty()
        };
        self.0.as_ref().is_some_and(asked)
    }

    /// The draft as the hooks leave it: with their prompt, or refused.
    ///
    /// # Errors
    /// When a hook's component is busy: then it cannot be said yet.
    pub(super) async fn pass(&self, draft: Draft) -> Result<Draft, SandboxError> {
        let Some((sandbox, catalog)) = &self.0 else { return Ok(draft) };
        let definitions = catalog.now();
        let hooks = pre_fire::asked(&definitions, &draft.run.scope, FirePoint::Job);
        if hooks.is_empty() {
            return Ok(draft);
        }
        let outcome = pre_fire::ask(sandbox, &hooks, told(&draft)).await?;
        Ok(with(draft, outcome))
    }

    /// The same for several, in order.
    ///
    /// # Errors
    /// When a hook's component is busy.
    pub(super) async fn pass_all(&self, drafts: Vec<Draft>) -> Result<Vec<Draft>, SandboxError> {
        let mut passed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            passed.push(self.pass(draft).await?);
        }
        Ok(passed)
    }
}

/// What hooks are told. They see the same of a slot whoever asks, and whenever.
fn told(draft: &Draft) -> sandbox::Draft {
    let run = &draft.run;
    let (id, at) = match &run.fire {
        Some(fire) => (fire.id.to_string(), fire.scheduled_at),
        None => (run.id.to_string(), run.created_at),
    };
    sandbox::Draft {
        id,
        point: FirePoint::Job,
        name: run.owner.name().clone(),
        at,
        scope: run.scope.clone(),
        agent: run.agent.clone(),
        prompt: run.prompt.clone(),
        event: None,
        config: "{}".into(),
    }
}

fn with(mut draft: Draft, outcome: Outcome) -> Draft {
    match outcome {
        Outcome::Passed { prompt, origins } => {
            if let Some(task) = &mut draft.run.task {
                task.description.clone_from(&prompt);
            }
            draft.run.prompt = prompt;
            draft.run.stages.hooks = origins;
        }
        Outcome::Canceled { hook, reason } => {
            draft.refused = Some(format!("hook `{hook}`: {reason}"));
        }
    }
    draft
}
