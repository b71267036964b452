//! `hillock event explain`: the way of one event, as somebody on call wants to read it.

use serde::Deserialize;

use super::event::Origin;
use super::output::{NONE, fields, section, table};
use super::plain::Plain;
use crate::model::id::{EventId, RunId};
use crate::model::name::{Kind, Name, Slug};
use crate::model::time::Time;

/// What the host says of an event's way.
#[derive(Debug, Deserialize)]
pub struct Explanation {
    id: EventId,
    kind: Kind,
    workspace_id: Option<Name>,
    source: Plain,
    endpoint: Option<Endpoint>,
    producer: Option<Producer>,
    occurred_at: Time,
    received_at: Time,
    activated_at: Option<Time>,
    verified: Option<Verified>,
    origin: Origin,
    depth: u32,
    causes: Vec<Plain>,
    repeats: u32,
    repeat_of: Option<EventId>,
    held_up_by: Option<Plain>,
    considered: Vec<Considered>,
    not_considered: Vec<NotConsidered>,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    slug: Slug,
}

#[derive(Debug, Deserialize)]
struct Producer {
    name: Name,
}

#[derive(Debug, Deserialize)]
struct Verified {
    scheme: Plain,
    key_ref: Plain,
}

#[derive(Debug, Deserialize)]
struct Considered {
    trigger: Name,
    outcome: Plain,
    reason: Option<Plain>,
    retry_at: Option<Time>,
    held_until: Option<Time>,
    run_id: Option<RunId>,
    run: Option<Run>,
}

#[derive(Debug, Deserialize)]
struct Run {
    status: Plain,
    attempt: u32,
    error: Option<Plain>,
    due_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct NotConsidered {
    trigger: Name,
    reason: Plain,
}

impl Explanation {
    /// The whole of it as text.
    pub fn text(&self) -> String {
        let workspace = self.workspace_id.as_ref();
        let mut top = vec![
            ("event", self.id.to_string()),
            ("kind", self.kind.to_string()),
            ("workspace", workspace.map_or_else(|| NONE.to_owned(), Name::to_string)),
            ("came by", self.way()),
            ("verified", self.verification()),
            ("occurred", self.occurred_at.to_string()),
            ("received", self.received_at.to_string()),
            ("again", again(self.repeats)),
            ("caused by", self.past()),
            ("activated", self.activation()),
        ];
        top.extend(self.repeat_of.as_ref().map(|earlier| ("repeat of", repeat_of(earlier))));
        top.extend(self.held_up_by.as_ref().map(|why| ("held up", held_up(why))));
        fields(top) + &self.considered() + &self.not_considered()
    }

    fn way(&self) -> String {
        let by = match (&self.endpoint, &self.producer) {
            (Some(endpoint), _) => format!("the endpoint `{}`", endpoint.slug),
            (None, Some(producer)) => format!("the {} `{}`", self.source, producer.name),
            (None, None) => self.source.to_string(),
        };
        format!("{by}, read by {}", self.origin)
    }

    fn verification(&self) -> String {
        match (&self.verified, &self.endpoint) {
            (Some(Verified { scheme, key_ref }), _) => format!("{scheme} by {key_ref}"),
            (None, Some(_)) => "no: the endpoint asks for no signature".to_owned(),
            (None, None) => "not needed: the host made it itself".to_owned(),
        }
    }

    fn past(&self) -> String {
        if self.causes.is_empty() {
            return "nothing here: it came from outside".to_owned();
        }
        let causes: Vec<String> = self.causes.iter().map(Plain::line).collect();
        format!("{} (depth {})", causes.join(", "), self.depth)
    }

    fn activation(&self) -> String {
        match self.activated_at {
            Some(at) => {
                format!("{at}, {} ms after it was received", at.since(self.received_at).as_millis())
            }
            None => "not yet: it waits in the inbox".to_owned(),
        }
    }

    fn considered(&self) -> String {
        if self.considered.is_empty() {
            let text = match self.activated_at {
                Some(_) => format!("none: nothing is defined here for `{}`", self.kind),
                None => "none yet".to_owned(),
            };
            return section("Triggers that considered it", text);
        }
        let row = |one: &Considered| [one.trigger.to_string(), one.outcome.line(), one.what()];
        let rows = self.considered.iter().map(row);
        section("Triggers that considered it", table(["TRIGGER", "OUTCOME", "WHAT"], rows).whole())
    }

    fn not_considered(&self) -> String {
        if self.not_considered.is_empty() {
            return String::new();
        }
        let row = |one: &NotConsidered| [one.trigger.to_string(), one.reason.line()];
        let rows = self.not_considered.iter().map(row);
        section("Triggers that did not", table(["TRIGGER", "WHY"], rows).whole())
    }
}

fn repeat_of(earlier: &EventId) -> String {
    format!("{earlier}: the same kind and body, by another id")
}

fn held_up(why: &Plain) -> String {
    format!("{}: it goes on when there is room", why.line())
}

fn again(repeats: u32) -> String {
    match repeats {
        0 => "no".to_owned(),
        1 => "once, and was recognised".to_owned(),
        times => format!("{times} times, and was recognised"),
    }
}

impl Considered {
    fn what(&self) -> String {
        if let Some(run_id) = &self.run_id {
            return self.run.as_ref().map_or_else(|| run_id.to_string(), |run| run.of(run_id));
        }
        match (&self.reason, self.retry_at, self.held_until) {
            (Some(reason), ..) => reason.line(),
            (None, Some(at), until) if self.outcome.as_str() == "deferred" => {
                format!("it waits for its turn under the fire limit, at {}", until.unwrap_or(at))
            }
            (None, Some(retry_at), _) => format!("it may fire again at {retry_at}"),
            (None, None, Some(until)) => format!("it waits for others until {until}"),
            (None, None, None) => NONE.to_owned(),
        }
    }
}

impl Run {
    fn of(&self, id: &RunId) -> String {
        let Self { status, attempt, error, due_at } = self;
        let attempt = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        let due = due_at.map_or_else(String::new, |at| format!(", next attempt at {at}"));
        let error = error.as_ref().map_or_else(String::new, |why| format!(": {}", why.line()));
        format!("{id} is {status}{attempt}{due}{error}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "evt_00000000000000000000000000000001";
    const RUN: &str = "run_00000000000000000000000000000002";

    fn explanation(changes: Value) -> String {
        let mut whole = json!({
            "id": ID, "kind": "github.push", "scope": "global", "source": "webhook",
            "endpoint": {"webhook_id": "wbh_1", "slug": "gh"}, "producer": null,
            "occurred_at": "2026-01-31T08:59:59.000Z", "received_at": "2026-01-31T09:00:00.000Z",
            "activated_at": "2026-01-31T09:00:00.012Z",
            "verified": {"scheme": "github", "key_ref": "env:S", "at": "2026-01-31T09:00:00.000Z"},
            "origin": {"component": "github", "version": "0.1.0", "digest": "sha256:ab"},
            "depth": 0, "causes": [], "repeats": 2,
            "considered": [
                {"trigger": "triage", "outcome": "fired", "reason": null, "retry_at": null,
                 "held_until": null, "run_id": RUN,
                 "run": {"status": "failed", "attempt": 2, "error": "exit\ncode 1", "due_at": null}},
                {"trigger": "digest", "outcome": "held", "reason": null, "retry_at": null,
                 "held_until": "2026-01-31T09:01:00.000Z", "run_id": null, "run": null},
            ],
            "not_considered": [{"trigger": "nightly", "trigger_id": "trg_1",
                                "reason": "it listens to `github.issues`"}],
        });
        for (key, value) in changes.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let explanation: Explanation = serde_json::from_value(whole).unwrap();
        anstream::adapter::strip_str(&explanation.text()).to_string()
    }

    #[test]
    fn an_event_has_its_way_told() {
        let wanted = format!(
            "event      {ID}\n\
             kind       github.push\n\
             workspace  -\n\
             came by    the endpoint `gh`, read by github 0.1.0 sha256:ab\n\
             verified   github by env:S\n\
             occurred   2026-01-31T08:59:59.000Z\n\
             received   2026-01-31T09:00:00.000Z\n\
             again      2 times, and was recognised\n\
             caused by  nothing here: it came from outside\n\
             activated  2026-01-31T09:00:00.012Z, 12 ms after it was received\n\
             \n\
             Triggers that considered it\n\
             TRIGGER  OUTCOME  WHAT\n\
             triage   fired    {RUN} is failed, attempt 2: exit code 1\n\
             digest   held     it waits for others until 2026-01-31T09:01:00.000Z\n\
             \n\
             Triggers that did not\n\
             TRIGGER  WHY\n\
             nightly  it listens to `github.issues`\n"
        );
        assert_eq!(explanation(json!({})), wanted);
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = explanation(json!({
            "considered": [], "not_considered": [], "verified": null, "repeats": 0,
            "endpoint": null, "source": "hook", "producer": {"id": "hok_1", "name": "lifecycle"},
            "depth": 2, "causes": [RUN],
        }));
        for line in [
            "came by    the hook `lifecycle`, read by github 0.1.0 sha256:ab\n".to_owned(),
            "verified   not needed: the host made it itself\n".to_owned(),
            "again      no\n".to_owned(),
            format!("caused by  {RUN} (depth 2)\n"),
            "considered it\nnone: nothing is defined here for `github.push`\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        let waiting = explanation(json!({"considered": [], "activated_at": null}));
        assert!(waiting.contains("not yet: it waits in the inbox\n"), "{waiting}");
        assert!(waiting.contains("considered it\nnone yet\n"), "{waiting}");
        let full = json!({"activated_at": null, "held_up_by": "9 commands wait already (global)"});
        let wanted = "held up    9 commands wait already (global): it goes on when there is room\n";
        assert!(explanation(full).contains(wanted));
        let repeat = explanation(json!({"repeat_of": ID}));
        let wanted = format!("repeat of  {ID}: the same kind and body, by another id\n");
        assert!(repeat.contains(&wanted), "{repeat}");
    }
}
