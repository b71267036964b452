//! From what guests say to what the host works with. Generated types end here.

pub(super) mod signals;

use super::FilterVerdict;
use super::SandboxError;
use super::bindings::{diagnostics, filter_rules, source_world, template_world};
use super::error::Limit;
use super::imports::Incoming;
use super::request::{Activation, Identity, Outcome, Proof, Received, Rejection, Reply};
use crate::model::envelope::{Origin, Payload};
use crate::model::json;
use crate::model::name::InvalidName;
use crate::model::problem::Problem;
use crate::model::text::shortened;
use crate::model::time::Time;

/// How much of a guest's reason is kept, in bytes.
const REASON_BYTES_MAX: usize = 1024;
/// The largest body a source may reply with, in bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// How many events one request may lead to.
const ACTIVATIONS_MAX: usize = 1000;
/// How much those events may keep of the raw body altogether, in bytes: each keeps all of it.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many identities an event may have.
const IDENTITIES_MAX: usize = 8;
/// The longest of them, in bytes.
const IDENTITY_BYTES_MAX: usize = 512;

type Answer = Result<source_world::Outcome, source_world::Rejection>;

pub(super) fn received(origin: &Origin, incoming: Incoming, answer: Answer) -> Received {
    let answer = match answer {
        Ok(source_world::Outcome::Activations(list)) => activations(&incoming, list),
        Ok(source_world::Outcome::Reply(said)) => reply(said),
        Err(rejection) => Err(rejection_of(rejection)),
    };
    let Incoming { proof, .. } = incoming;
    Received { answer, proof, origin: origin.clone() }
}

/// What the host verified of a request of which the component made more than it may hand over.
pub(super) fn too_much(origin: &Origin, proof: Proof, limit: Limit) -> Received {
    let answer = Err(Rejection::Unfit(format!("it is beyond the component's {limit}")));
    Received { answer, proof, origin: origin.clone() }
}

fn activations(
    incoming: &Incoming,
    list: Vec<source_world::Activation>,
) -> Result<Outcome, Rejection> {
    if list.len() > ACTIVATIONS_MAX {
        return Err(unfit(format!("more than {ACTIVATIONS_MAX} events of one request")));
    }
    if list.len().saturating_mul(incoming.request.body.len()) > KEPT_BYTES_MAX {
        return Err(unfit("too many events of so large a request"));
    }
    let names_body = |a: &source_world::Activation| matches!(a.data, source_world::Payload::Body);
    if list.iter().any(names_body) {
        let body = &incoming.request.body;
        if body.is_empty() {
            return Err(Rejection::Malformed("the body is empty".to_owned()));
        }
        json::check(body).map_err(|error| Rejection::Malformed(format!("the body is {error}")))?;
    }
    let list = list.into_iter().map(activation);
    Ok(Outcome::Activations(list.collect::<Result<_, _>>()?))
}

fn activation(said: source_world::Activation) -> Result<Activation, Rejection> {
    let payload = match said.data {
        source_world::Payload::Body => Payload::Body,
        source_world::Payload::Json(text) => {
            json::check(text.as_bytes())
                .map_err(|error| unfit(format!("an event's data is {error}")))?;
            Payload::Json(text.into())
        }
    };
    if said.dedupe.len() > IDENTITIES_MAX {
        return Err(unfit(format!("more than {IDENTITIES_MAX} identities of one event")));
    }
    let kind = said.kind.parse().map_err(|error: InvalidName| unfit(error.to_string()))?;
    let identities = said.dedupe.into_iter().map(identity).collect::<Result<_, _>>()?;
    let occurred_at = said.occurred_at.map(instant).transpose()?;
    Ok(Activation { kind, payload, identities, occurred_at })
}

fn identity(said: source_world::Identity) -> Result<Identity, Rejection> {
    match said {
        source_world::Identity::BodyHash => Ok(Identity::BodyHash),
        source_world::Identity::Id(id) if (1..=IDENTITY_BYTES_MAX).contains(&id.len()) => {
            Ok(Identity::Id(id))
        }
        source_world::Identity::Id(id) => Err(unfit(format!(
            "an event is recognised by 1 to {IDENTITY_BYTES_MAX} bytes, and not by {}",
            id.len()
        ))),
    }
}

fn instant(ms: u64) -> Result<Time, Rejection> {
    let instant = i64::try_from(ms).ok().and_then(Time::from_millis);
    instant.ok_or_else(|| unfit(format!("an event of {ms} ms after 1970 is none of these years")))
}

fn unfit(reason: impl AsRef<str>) -> Rejection {
    Rejection::Unfit(shortened(reason.as_ref(), REASON_BYTES_MAX))
}

fn reply(said: source_world::Reply) -> Result<Outcome, Rejection> {
    let source_world::Reply { status, content_type, body } = said;
    let media_type =
        content_type.len() <= 255 && content_type.bytes().all(|c| (b' '..=b'~').contains(&c));
    if !(200..300).contains(&status) || body.len() > REPLY_BYTES_MAX || !media_type {
        return Err(unfit("its reply is not one that a source may give"));
    }
    Ok(Outcome::Reply(Reply { status, content_type, body }))
}

fn rejection_of(rejection: source_world::Rejection) -> Rejection {
    let short = |reason: String| shortened(&reason, REASON_BYTES_MAX);
    match rejection {
        source_world::Rejection::Unauthorized => Rejection::Unauthorized,
        source_world::Rejection::Malformed(reason) => Rejection::Malformed(short(reason)),
        source_world::Rejection::UnsupportedMediaType(reason) => {
            Rejection::UnsupportedMediaType(short(reason))
        }
    }
}

pub(super) fn verdict(
    origin: &Origin,
    answer: Result<filter_rules::Verdict, filter_rules::FilterError>,
) -> Result<FilterVerdict, SandboxError> {
    use filter_rules::{FilterError, Verdict};
    match answer {
        Ok(Verdict::Matched) => Ok(FilterVerdict::Matched),
        Ok(Verdict::Unmatched(why)) => {
            Ok(FilterVerdict::Unmatched(shortened(&why, REASON_BYTES_MAX)))
        }
        Err(FilterError::InvalidConfig(why)) => {
            Err(refused(origin, format!("its configuration is invalid: {why}")))
        }
        Err(FilterError::Failed(why)) => Err(refused(origin, why)),
    }
}

pub(super) fn prompt(
    origin: &Origin,
    answer: Result<String, template_world::RenderError>,
) -> Result<String, SandboxError> {
    use template_world::RenderError;
    answer.map_err(|error| match error {
        RenderError::InvalidTemplate(why) => {
            refused(origin, format!("the template is invalid: {why}"))
        }
        RenderError::MissingField(path) => refused(origin, format!("the event has no `{path}`")),
        RenderError::Failed(why) => refused(origin, why),
    })
}

pub(super) fn problems(diagnostics: Vec<diagnostics::Diagnostic>) -> Vec<Problem> {
    let problem = |said: diagnostics::Diagnostic| Problem {
        path: shortened(&said.path, REASON_BYTES_MAX),
        reason: shortened(&said.message, REASON_BYTES_MAX),
    };
    diagnostics.into_iter().map(problem).collect()
}

fn refused(origin: &Origin, reason: impl AsRef<str>) -> SandboxError {
    let reason = shortened(reason.as_ref(), REASON_BYTES_MAX);
    SandboxError::Refused { component: origin.component.clone(), reason }
}
