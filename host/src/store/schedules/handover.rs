//! What a job's fire hands over: a task that says what the job says, with a run of its own.

use serde_json::json;

use super::Draft;
use crate::model::run::{NewRun, Owner, SessionRef, Terms};
use crate::model::task::{NewTask, TASK_TIMEOUT};

/// A task and the run that carries it out.
pub(super) struct Handover {
    pub(super) task: NewTask,
    pub(super) run: NewRun,
}

impl Handover {
    /// What a fire hands over, if it does.
    pub(super) fn of(draft: &Draft) -> Option<Self> {
        let (delegation, job_run) = (draft.delegation.as_ref()?, &draft.run);
        let task = NewTask {
            id: delegation.task_id.clone(),
            scope: job_run.scope.clone(),
            agent: job_run.agent.clone(),
            message: job_run.prompt.clone(),
            label: job_run.task.as_ref().map(|task| task.title.clone()),
            priority: job_run.priority,
            terms: terms(draft),
            idempotency: None,
            created_at: job_run.created_at,
        };
        let mut causes = job_run.causes.clone();
        causes.push(job_run.id.to_string());
        let (depth, stages) = (job_run.depth, job_run.stages.clone());
        let run = task.first_run(delegation.task_run_id.clone());
        Some(Self { task, run: NewRun { depth, causes, stages, ..run } })
    }
}

/// The job's own, in a session of the task's own unless the job names one, and with a task's
/// time-out.
fn terms(draft: &Draft) -> Terms {
    let (run, terms) = (&draft.run, draft.run.terms.clone());
    let key =
        draft.delegation.as_ref().and_then(|delegation| delegation.task_id.as_str().parse().ok());
    let timeout_ms = u64::try_from(TASK_TIMEOUT.as_millis()).ok();
    Terms {
        session: terms.session.or_else(|| key.map(|key| SessionRef::of(&run.scope, key))),
        timeout_ms: terms.timeout_ms.or(timeout_ms),
        spawned_by: Some(spawned_by(draft)),
        ..terms
    }
}

fn spawned_by(draft: &Draft) -> serde_json::Value {
    let (run, task) = (&draft.run, draft.run.task.as_ref());
    let job_id = match &run.owner {
        Owner::Job { id, .. } => Some(id),
        Owner::Trigger { .. } | Owner::Task { .. } => None,
    };
    json!({
        "job": run.owner.name(),
        "job_id": job_id,
        "run_id": run.id,
        "owner": task.and_then(|task| task.owner.as_ref()),
        "channel": task.and_then(|task| task.channel.as_ref()),
    })
}
