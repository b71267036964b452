//! Pre-fire hooks: asked in the order of their names before a run is made, by a trigger or by a
//! job. Each lets it pass, rewrites its prompt for those after it, or calls it off.

use crate::model::definition::{Definitions, Hook, OnError, Point, prompt_fault};
use crate::model::envelope::Origin;
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::sandbox::{Draft, FirePoint, PreFire, Sandbox, SandboxError};

/// What the hooks say of a run about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is made.
    Passed {
        /// With this prompt.
        prompt: String,
        /// The components that were asked, in order.
        origins: Vec<Origin>,
    },
    /// It is not made.
    Canceled {
        /// The hook that says so.
        hook: Name,
        /// Why.
        reason: String,
    },
}

/// The hooks that are asked at `point` in `scope`, in order.
pub fn asked<'d>(definitions: &'d Definitions, scope: &Scope, point: FirePoint) -> Vec<&'d Hook> {
    let point = match point {
        FirePoint::Job => Point::JobPreFire,
        FirePoint::Trigger => Point::TriggerPreFire,
    };
    let asked = |hook: &&Hook| hook.enabled && hook.scope == *scope && hook.points.contains(&point);
    let mut hooks: Vec<&Hook> = definitions.hooks.iter().filter(asked).collect();
    hooks.sort_by(|one, other| one.name.cmp(&other.name));
    hooks
}

/// Asks these hooks about a run; each gets the draft with its own configuration.
///
/// # Errors
/// When a hook's component is busy: then it cannot be said yet. Any other failure is the hook's
/// `on_error` to judge.
pub async fn ask(
    sandbox: &Sandbox,
    hooks: &[&Hook],
    mut draft: Draft,
) -> Result<Outcome, SandboxError> {
    let mut origins = Vec::with_capacity(hooks.len());
    for hook in hooks {
        draft.config = hook.config.as_str().into();
        match sandbox.pre_fire(&hook.component, draft.clone()).await {
            Ok(PreFire::Pass) => {}
            Ok(PreFire::Rewrite(prompt)) => match prompt_fault(&prompt) {
                None => draft.prompt = prompt,
                Some(fault) => {
                    if let Some(canceled) = failed(hook, &fault) {
                        return Ok(canceled);
                    }
                }
            },
            Ok(PreFire::Cancel(reason)) => {
                return Ok(Outcome::Canceled { hook: hook.name.clone(), reason });
            }
            Err(error @ SandboxError::Busy { .. }) => return Err(error),
            Err(error) => {
                if let Some(canceled) = failed(hook, &error.to_string()) {
                    return Ok(canceled);
                }
            }
        }
        origins.extend(sandbox.origin(&hook.component).ok().cloned());
    }
    Ok(Outcome::Passed { prompt: draft.prompt, origins })
}

/// What a hook's failure means.
fn failed(hook: &Hook, reason: &str) -> Option<Outcome> {
    tracing::warn!(hook = %hook.name, reason, "pre-fire hook failed");
    let canceled = Outcome::Canceled { hook: hook.name.clone(), reason: reason.to_owned() };
    (hook.on_error == OnError::Cancel).then_some(canceled)
}
