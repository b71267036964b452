//! What hooks, observers, extensions and pre-fire hooks are told, and what they answer.

use std::time::Duration;

use super::{REASON_BYTES_MAX, refused};
use crate::model::definition::PROMPT_BYTES_MAX;
use crate::model::envelope::Origin;
use crate::model::json;
use crate::model::scope::Scope;
use crate::model::text::shortened;
use crate::model::time::Time;
use crate::sandbox::bindings::{
    activations, extension_world, hook_world, observer_world, pre_fire_world,
};
use crate::sandbox::error::{Limit, SandboxError};
use crate::sandbox::extension::{Poll, PollRefusal, Polled};
use crate::sandbox::signal::{Draft, Notice, Observation, PreFire, Signal, State};

/// How many events one call may lead to.
const SIGNALS_MAX: usize = 1000;
/// How much data they may have altogether, in bytes.
const SIGNAL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest thing that an event is recognised by, in bytes.
const DEDUPE_BYTES_MAX: usize = 512;
/// The longest cursor, in bytes.
const CURSOR_BYTES_MAX: usize = 16 * 1024;

pub(in crate::sandbox) fn occurrence(notice: Notice, scope: &Scope) -> hook_world::Occurrence {
    let Notice { id, point, at, data, config } = notice;
    hook_world::Occurrence {
        id,
        point,
        at: millis(at),
        scope: scope.word().to_owned(),
        workspace_id: scope.workspace_id().to_owned(),
        data,
        config: config.to_string(),
    }
}

pub(in crate::sandbox) fn observation(seen: Observation) -> observer_world::Observation {
    let Observation { id, subject, at, data, config } = seen;
    let subject = subject.as_str().to_owned();
    let at = millis(at);
    observer_world::Observation { id, subject, at, data, config: config.to_string() }
}

pub(in crate::sandbox) fn context(poll: Poll) -> extension_world::Context {
    let Poll { name, config, cursor, now } = poll;
    extension_world::Context {
        name: name.into(),
        config: config.to_string(),
        cursor,
        now: millis(now),
    }
}

pub(in crate::sandbox) fn draft(draft: Draft) -> pre_fire_world::Draft {
    let Draft { id, point, name, at, scope, agent, prompt, event, config } = draft;
    pre_fire_world::Draft {
        id,
        point: point.as_str().to_owned(),
        name: name.into(),
        at: millis(at),
        scope: scope.word().to_owned(),
        workspace_id: scope.workspace_id().to_owned(),
        agent: agent.into(),
        prompt,
        event,
        config: config.to_string(),
    }
}

fn millis(at: Time) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

/// The events that a component of the source `source` wants to make.
pub(in crate::sandbox) fn signals(
    origin: &Origin,
    source: &str,
    list: Vec<activations::Activation>,
) -> Result<Vec<Signal>, SandboxError> {
    if list.len() > SIGNALS_MAX {
        return Err(exceeded(origin, Limit::Signals(SIGNALS_MAX)));
    }
    let bytes: usize = list.iter().map(|said| said.data.len()).sum();
    if bytes > SIGNAL_BYTES_MAX {
        return Err(exceeded(origin, Limit::Output(SIGNAL_BYTES_MAX)));
    }
    list.into_iter().map(|said| signal(origin, source, said)).collect()
}

fn signal(
    origin: &Origin,
    source: &str,
    said: activations::Activation,
) -> Result<Signal, SandboxError> {
    let activations::Activation { kind, data, dedupe, occurred_at } = said;
    if kind.split_once('.').is_none_or(|(first, _)| first != source) {
        let kind = shortened(&kind, REASON_BYTES_MAX);
        let reason = format!("its events have kinds below `{source}`, and `{kind}` is not");
        return Err(refused(origin, reason));
    }
    let length = dedupe.as_ref().map_or(1, String::len);
    if !(1..=DEDUPE_BYTES_MAX).contains(&length) {
        let reason = format!("an event is recognised by 1 to {DEDUPE_BYTES_MAX} bytes");
        return Err(refused(origin, reason));
    }
    json::check(data.as_bytes()).map_err(|error| refused(origin, error.to_string()))?;
    Ok(Signal {
        kind: kind.parse().map_err(|error| refused(origin, format!("{error}")))?,
        data: data.into(),
        dedupe,
        occurred_at: occurred_at.and_then(|ms| Time::from_millis(i64::try_from(ms).ok()?)),
    })
}

pub(in crate::sandbox) fn polled(
    origin: &Origin,
    answer: Result<extension_world::Batch, extension_world::PollError>,
    state: State,
) -> Result<Result<Polled, PollRefusal>, SandboxError> {
    let batch = match answer {
        Ok(batch) => batch,
        Err(error) => return Ok(Err(refusal(error))),
    };
    let extension_world::Batch { activations, cursor, next_delay_ms, more } = batch;
    let text = cursor.as_deref().unwrap_or_default();
    if text.len() > CURSOR_BYTES_MAX {
        return Err(exceeded(origin, Limit::Cursor(CURSOR_BYTES_MAX)));
    }
    // Not every database can keep one.
    if text.contains('\0') {
        return Err(refused(origin, "its cursor has a NUL character"));
    }
    let signals = signals(origin, "ext", activations)?;
    let next_delay = next_delay_ms.map(Duration::from_millis);
    Ok(Ok(Polled { signals, state, cursor, next_delay, more }))
}

fn refusal(error: extension_world::PollError) -> PollRefusal {
    let short = |reason: String| shortened(&reason, REASON_BYTES_MAX);
    match error {
        extension_world::PollError::Retry(reason) => PollRefusal::Retry(short(reason)),
        extension_world::PollError::Failed(reason) => PollRefusal::Failed(short(reason)),
        extension_world::PollError::InvalidConfig(reason) => {
            PollRefusal::InvalidConfig(short(reason))
        }
    }
}

pub(in crate::sandbox) fn decision(
    origin: &Origin,
    decision: pre_fire_world::Decision,
) -> Result<PreFire, SandboxError> {
    match decision {
        pre_fire_world::Decision::Pass => Ok(PreFire::Pass),
        pre_fire_world::Decision::Rewrite(prompt) if prompt.len() > PROMPT_BYTES_MAX => {
            let bytes = prompt.len();
            let reason = format!("its prompt has {bytes} bytes, more than {PROMPT_BYTES_MAX}");
            Err(refused(origin, reason))
        }
        pre_fire_world::Decision::Rewrite(prompt) => Ok(PreFire::Rewrite(prompt)),
        pre_fire_world::Decision::Cancel(reason) => {
            Ok(PreFire::Cancel(shortened(&reason, REASON_BYTES_MAX)))
        }
    }
}

fn exceeded(origin: &Origin, limit: Limit) -> SandboxError {
    SandboxError::Exceeded { component: origin.component.clone(), limit }
}
