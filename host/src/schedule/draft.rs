//! The run that a fire would make.

use crate::clock::Clock;
use crate::model::content::Content;
use crate::model::definition::{Definitions, Job, Work};
use crate::model::id::{CommandId, FireId, RunId, TaskId};
use crate::model::run::{Delegation, Fire, NewRun, Owner, Stages, Terms};
use crate::model::time::Time;
use crate::store::schedules::Draft;
use crate::trace;

/// The draft of a job's fire: of one of its slots, or of none when it is fired by hand.
pub(super) fn of(
    job: &Job,
    definitions: &Definitions,
    slot: Option<Time>,
    clock: Clock,
    now: Time,
) -> Draft {
    let fire = slot.map(|slot| Fire { id: FireId::of(&job.id, slot), scheduled_at: slot });
    let task = match &job.work {
        Work::Prompt(_) => None,
        Work::Task(task) => Some(task.clone()),
    };
    let run = NewRun {
        id: RunId::mint(now, clock.random()),
        scope: job.scope.clone(),
        owner: Owner::Job { id: job.id.clone(), name: job.name.clone() },
        event_id: None,
        fire,
        agent: job.agent.clone(),
        prompt: job.work.prompt().to_owned(),
        content: Content::Trusted,
        task,
        priority: job.priority,
        retry: job.retry,
        depth: 0,
        causes: Vec::new(),
        stages: Stages::default(),
        terms: Terms {
            traceparent: Some(trace::here(clock)),
            ..definitions.terms(&job.scope, &job.agent, &job.demands, Content::Trusted)
        },
        created_at: now,
    };
    let delegation = run.task.as_ref().map(|_| Delegation {
        task_id: TaskId::mint(now, clock.random()),
        task_run_id: RunId::mint(now, clock.random()),
    });
    let command_id = CommandId::mint(now, clock.random());
    Draft { run, command_id, delegation, refused: None }
}
