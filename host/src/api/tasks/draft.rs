//! A task as a client asks for it: every field parsed, and everything wrong reported at once.

use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::super::idempotency;
use crate::config::definitions::fields::{Fields, described, list, some_text, text, word};
use crate::model::content::Content;
use crate::model::definition::{Definitions, Demands, PROMPT_BYTES_MAX, Priority};
use crate::model::id::TaskId;
use crate::model::name::Name;
use crate::model::policy::PolicyDraft;
use crate::model::problem::Problems;
use crate::model::routing::Routing;
use crate::model::run::{Attachment, Terms};
use crate::model::scope::Scope;
use crate::model::session::SessionKey;
use crate::model::task::{NewTask, TASK_TIMEOUT};
use crate::model::time::Time;
use crate::trace;

/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 256;
/// How long an attempt may take at most: as long as a command's token is good for.
const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// How long a task may wait for a worker at most.
const QUEUE_TIMEOUT_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;
/// How far ahead a task may be scheduled.
const AHEAD_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The most attachments.
const ATTACHMENTS_MAX: usize = 32;
/// How much comes with the message, as JSON, in bytes: together with the longest message in its
/// longest spelling it fits one of the protocol's.
const BESIDE_BYTES_MAX: usize = 256 * 1024;
/// How many names a worker has to have at most, of each kind, and how long each may be.
const NAMES_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 128;

/// A task that a body asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) task: NewTask,
    /// What stands in its way at present. One that was made before, under the same key, is known
    /// all the same.
    pub(super) hindrances: Problems,
}

/// The task that a body asks for.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(
    body: Value,
    headers: &HeaderMap,
    scope: Scope,
    id: TaskId,
    known: &Definitions,
    now: Time,
) -> Result<Asked, Problems> {
    let mut problems = Problems::default();
    let mut hindrances = absent(&body, &scope, known);
    let task = parse(body, headers, scope, id, known, now, &mut problems);
    if let Some(task) = &task {
        hindrances.append(untimely(&task.terms, now));
    }
    match task.filter(|_| problems.is_empty()) {
        Some(task) => Ok(Asked { task, hindrances }),
        None => {
            problems.append(hindrances);
            Err(problems)
        }
    }
}

/// What a body names and is not there.
fn absent(body: &Value, scope: &Scope, known: &Definitions) -> Problems {
    let mut absent = Problems::default();
    let agent: Option<Name> = body.get("agent").and_then(|agent| word(agent).ok());
    if let Some(agent) = agent.filter(|agent| known.profile(scope, agent).is_none()) {
        absent.add("task.agent", format!("there is no agent `{agent}` ({scope})"));
    }
    absent
}

/// What is wrong with a task's times now.
fn untimely(terms: &Terms, now: Time) -> Problems {
    let mut untimely = Problems::default();
    if terms.scheduled_at.is_some_and(|at| at > now + AHEAD_MAX) {
        untimely.add("task.scheduled_at", "is more than a year ahead");
    }
    let Some(until) = terms.expires_at else { return untimely };
    let from = terms.scheduled_at.unwrap_or(now).max(now);
    if until <= from {
        untimely.add("task.expires_at", "is over before the task could begin");
    } else if until > from + Duration::from_millis(QUEUE_TIMEOUT_MS_MAX) {
        untimely.add("task.expires_at", "is more than thirty days after it could begin");
    }
    untimely
}

fn parse(
    body: Value,
    headers: &HeaderMap,
    scope: Scope,
    id: TaskId,
    known: &Definitions,
    now: Time,
    problems: &mut Problems,
) -> Option<NewTask> {
    let mut fields = Fields::open("task", body, problems)?;
    let agent = fields.required("agent", word);
    let message = fields.required("message", message);
    let label = fields.optional("label", label);
    let priority = fields.or("priority", Priority::default(), word);
    let session: Option<Option<SessionKey>> = fields.optional("session", word);
    let demands = demands(&mut fields);
    let beside = beside(&mut fields);
    let times = times(&mut fields);
    let key = fields.optional("idempotency_key", text);
    let key_path = fields.path("idempotency_key");
    let key = idempotency::key(headers, key.flatten(), &key_path, fields.problems());
    fields.close();

    let (agent, message, label, priority) = (agent?, message?, label?, priority?);
    let (session, demands, beside, times) = (session?, demands?, beside?, times?);
    let asked = json!([agent, message, label, priority, session, asked_terms(&demands, &beside)]);
    let asked = with_more(asked, &demands, &times);
    let session = session.or_else(|| id.as_str().parse().ok())?;
    let demands = Demands { session: Some(session), ..demands };
    let terms = known.terms(&scope, &agent, &demands, Content::Trusted);
    let terms = Terms {
        system_prompt: beside.system_prompt,
        attachments: beside.attachments,
        spawned_by: beside.spawned_by,
        scheduled_at: times.scheduled_at,
        expires_at: times.expires_at,
        traceparent: trace::present(),
        ..terms
    };
    let idempotency = key.map(|key| idempotency::of(key, &asked));
    Some(NewTask {
        id,
        scope,
        agent,
        message,
        label,
        priority,
        terms,
        idempotency,
        created_at: now,
    })
}

/// What goes to the worker beside the message.
struct Beside {
    system_prompt: Option<String>,
    attachments: Vec<Attachment>,
    spawned_by: Option<Value>,
}

/// What is asked of how the task is carried out, whatever its agent says of it.
fn asked_terms(demands: &Demands, beside: &Beside) -> Value {
    let Demands { lane, policy, routing, queue_timeout, timeout, .. } = demands;
    let Beside { system_prompt, attachments, spawned_by } = beside;
    json!([
        lane,
        policy,
        routing,
        queue_timeout.map(|span| span.as_millis().to_string()),
        timeout.map(|span| span.as_millis().to_string()),
        system_prompt,
        attachments,
        spawned_by,
    ])
}

/// The same with what earlier versions did not know, if it is there: what was asked of them still
/// has the same hash.
fn with_more(mut asked: Value, demands: &Demands, times: &Times) -> Value {
    let Times { scheduled_at, expires_at } = times;
    let on_lost = demands.on_lost;
    let more = on_lost.is_some() || scheduled_at.is_some() || expires_at.is_some();
    if let (true, Value::Array(parts)) = (more, &mut asked) {
        parts.push(json!([on_lost, scheduled_at, expires_at]));
    }
    asked
}

/// Between which instants it may begin.
struct Times {
    scheduled_at: Option<Time>,
    expires_at: Option<Time>,
}

fn times(fields: &mut Fields<'_>) -> Option<Times> {
    let scheduled_at = fields.optional("scheduled_at", word);
    if fields.has("expires_at") && fields.was_given("queue_timeout_ms") {
        fields.problem("expires_at", "stands beside queue_timeout_ms: give one of them");
    }
    let expires_at = fields.optional("expires_at", word);
    Some(Times { scheduled_at: scheduled_at?, expires_at: expires_at? })
}

fn demands(fields: &mut Fields<'_>) -> Option<Demands> {
    let lane = fields.optional("lane", word);
    let policy = policy(fields);
    let routing = routing(fields);
    let timeout = fields.or("timeout_ms", TASK_TIMEOUT, span(TIMEOUT_MS_MAX));
    let queue_timeout = fields.optional("queue_timeout_ms", span(QUEUE_TIMEOUT_MS_MAX));
    let on_lost = fields.optional("on_lost", word);
    Some(Demands {
        on_lost: on_lost?,
        lane: lane?,
        policy: policy?,
        routing: routing?,
        queue_timeout: queue_timeout?,
        timeout: Some(timeout?),
        ..Demands::default()
    })
}

fn beside(fields: &mut Fields<'_>) -> Option<Beside> {
    let attachments = attachments(fields);
    let system_prompt = fields.optional("system_prompt", some_text);
    let spawned_by = fields.raw("spawned_by");
    let (attachments, system_prompt) = (attachments?, system_prompt?);
    let bytes = json!([attachments, system_prompt, spawned_by]).to_string().len();
    if bytes > BESIDE_BYTES_MAX {
        let reason = format!(
            "with what else comes with the message it has {bytes} bytes of JSON, more than \
             {BESIDE_BYTES_MAX}"
        );
        let place = if attachments.is_empty() { "system_prompt" } else { "attachments" };
        fields.problem(place, reason);
        return None;
    }
    Some(Beside { system_prompt, attachments, spawned_by })
}

pub(in crate::api) fn message(value: &Value) -> Result<String, String> {
    let text = some_text(value)?;
    match text.len() {
        bytes if bytes > PROMPT_BYTES_MAX => {
            Err(format!("has {bytes} bytes, more than {PROMPT_BYTES_MAX}"))
        }
        _ => Ok(text),
    }
}

fn label(value: &Value) -> Result<String, String> {
    let label = some_text(value)?;
    let sound = label.len() <= LABEL_BYTES_MAX && !label.chars().any(char::is_control);
    sound.then_some(label).ok_or_else(|| {
        format!("is longer than {LABEL_BYTES_MAX} bytes, or not of printable characters")
    })
}

fn span(max: u64) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let number = value.as_u64().filter(|number| (1..=max).contains(number));
        number
            .map(Duration::from_millis)
            .ok_or_else(|| format!("is not a whole number of milliseconds from 1 to {max}"))
    }
}

fn policy(fields: &mut Fields<'_>) -> Option<Option<PolicyDraft>> {
    let Some(value) = fields.raw("policy") else { return Some(None) };
    let path = fields.path("policy");
    PolicyDraft::read(&value, &path, fields.problems()).map(Some)
}

fn routing(fields: &mut Fields<'_>) -> Option<Routing> {
    let Some(value) = fields.raw("routing") else { return Some(Routing::default()) };
    let path = fields.path("routing");
    let mut table = Fields::open(&path, value, fields.problems())?;
    let capabilities = table.optional("capabilities", words);
    let tools = table.optional("tools", words);
    let labels = table.optional("labels", labels);
    let cluster = table.optional("cluster", name);
    let region = table.optional("region", name);
    let platform = table.optional("platform", name);
    table.close();
    Some(Routing {
        capabilities: capabilities?.unwrap_or_default().into_iter().collect(),
        tools: tools?.unwrap_or_default().into_iter().collect(),
        labels: labels?.unwrap_or_default().into_iter().collect(),
        cluster: cluster?,
        region: region?,
        platform: platform?,
    })
}

fn words(value: &Value) -> Result<Vec<String>, String> {
    let words = list(name)(value)?;
    few(words)
}

fn name(value: &Value) -> Result<String, String> {
    let name = some_text(value)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("is longer than {NAME_BYTES_MAX} bytes"));
    }
    Ok(name)
}

fn few<T>(items: Vec<T>) -> Result<Vec<T>, String> {
    if items.len() > NAMES_MAX {
        return Err(format!("has {} items, more than {NAMES_MAX}", items.len()));
    }
    Ok(items)
}

fn labels(value: &Value) -> Result<Vec<(String, String)>, String> {
    let table: &Map<String, Value> =
        value.as_object().ok_or_else(|| format!("is {}, not a table", described(value)))?;
    let label = |(name, value): (&String, &Value)| {
        self::name(&json!(name)).map_err(|reason| format!("`{name}` {reason}"))?;
        let value = self::name(value).map_err(|reason| format!("`{name}` {reason}"))?;
        Ok((name.clone(), value))
    };
    few(table.iter().map(label).collect::<Result<_, String>>()?)
}

fn attachments(fields: &mut Fields<'_>) -> Option<Vec<Attachment>> {
    let Some(value) = fields.raw("attachments") else { return Some(Vec::new()) };
    let Value::Array(items) = value else {
        fields.problem("attachments", format!("is {}, not a list", described(&value)));
        return None;
    };
    if items.len() > ATTACHMENTS_MAX {
        let reason = format!("has {} items, more than {ATTACHMENTS_MAX}", items.len());
        fields.problem("attachments", reason);
        return None;
    }
    let path = fields.path("attachments");
    let items = items.into_iter().enumerate().map(|(i, item)| (format!("{path}[{i}]"), item));
    // Each is read, whatever is wrong with those before it.
    let read: Vec<_> =
        items.map(|(path, item)| attachment(&path, item, fields.problems())).collect();
    read.into_iter().collect()
}

fn attachment(path: &str, item: Value, problems: &mut Problems) -> Option<Attachment> {
    let mut table = Fields::open(path, item, problems)?;
    let name = table.required("name", some_text);
    let media_type = table.optional("media_type", some_text);
    let url = table.optional("url", some_text);
    let content = table.optional("text", text);
    if let (Some(Some(_)), Some(Some(_))) | (Some(None), Some(None)) = (&url, &content) {
        table.problem("url", "has to be there, or text, and not both");
    }
    table.close();
    Some(Attachment { name: name?, media_type: media_type?, url: url?, text: content? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::definition::{Agent, Profile};
    use crate::model::run::SessionRef;

    fn read_body(body: Value) -> Result<NewTask, String> {
        let mut known = Definitions::default();
        known
            .agents
            .push(Profile::of(Agent { scope: Scope::Global, name: "triager".parse().unwrap() }));
        let id = TaskId::derive(&Scope::Global, "it");
        let headers = HeaderMap::new();
        let asked = read(body, &headers, Scope::Global, id, &known, Time::EPOCH);
        let unhindered = |Asked { task, hindrances }| hindrances.unless_any(task);
        asked.and_then(unhindered).map_err(|problems| problems.to_string())
    }

    #[test]
    fn what_stands_in_its_way_now_is_no_fault_of_its_own() {
        let known = Definitions::default();
        let now = Time::from_millis(1_000_000).unwrap();
        let id = TaskId::derive(&Scope::Global, "it");
        let body = json!({
            "agent": "gone", "message": "look", "expires_at": "1970-01-01T00:00:01Z",
        });
        let headers = HeaderMap::new();
        let Asked { hindrances, .. } =
            read(body, &headers, Scope::Global, id, &known, now).unwrap();
        let said = hindrances.to_string();
        assert!(said.contains("task.agent: there is no agent `gone`"), "{said}");
        assert!(said.contains("task.expires_at: is over before"), "{said}");
    }

    #[test]
    fn a_task_has_a_session_of_its_own_unless_it_names_one() {
        let task = read_body(json!({ "agent": "triager", "message": "look" })).unwrap();
        assert_eq!(task.terms.session.unwrap().key.as_str(), task.id.as_str());
        assert_eq!(task.terms.timeout_ms, Some(600_000));
        assert_eq!((task.terms.policy, task.priority), (None, Priority::Normal));
        let body = json!({ "agent": "triager", "message": "look", "session": "ticket 42" });
        let session = read_body(body).unwrap().terms.session.unwrap();
        assert_eq!(session, SessionRef::of(&Scope::Global, "ticket 42".parse().unwrap()));
    }

    #[test]
    fn what_is_asked_twice_has_the_same_hash_and_nothing_else_has() {
        let hash = |change: Value| {
            let mut body = json!({ "agent": "triager", "message": "look", "idempotency_key": "k" });
            body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            read_body(body).unwrap().idempotency.unwrap().body_hash
        };
        assert_eq!(hash(json!({})), hash(json!({ "priority": "normal", "label": null })));
        for other in [
            json!({ "message": "look!" }),
            json!({ "priority": "high" }),
            json!({ "session": "s" }),
            json!({ "timeout_ms": 1 }),
            json!({ "spawned_by": { "user": "u" } }),
            json!({ "on_lost": "fail" }),
            json!({ "scheduled_at": "1970-01-01T01:00:00Z" }),
            json!({ "expires_at": "1970-01-01T01:00:00Z" }),
        ] {
            assert_ne!(hash(json!({})), hash(other.clone()), "{other}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_path() {
        let body = json!({
            "agent": "nobody", "message": " ", "session": "a\n", "label": 7, "priority": "soon",
            "policy": { "ask": "never", "retry": { "attempts": 0 } }, "lane": "A B",
            "routing": { "tools": "cargo", "place": "eu", "labels": { "a": 1 } },
            "timeout_ms": 0, "queue_timeout_ms": 1.5, "system_prompt": "",
            "attachments": [{ "name": "a" }, { "name": "b", "url": "u", "text": "t" }, 3],
            "idempotency_key": "", "mesage": "typo", "on_lost": "cry", "scheduled_at": "soon",
            "expires_at": 7,
        });
        let said = read_body(body).unwrap_err();
        for path in [
            "task.agent: there is no agent `nobody` (global)",
            "task.message: is empty",
            "task.session: a session key",
            "task.label: is a number",
            "task.priority: ",
            "task.policy.ask: ",
            "task.policy.retry.attempts: ",
            "task.lane: ",
            "task.routing.tools: is text, not a list",
            "task.routing.place: is unknown",
            "task.routing.labels: `a` is a number",
            "task.timeout_ms: ",
            "task.queue_timeout_ms: ",
            "task.on_lost: ",
            "task.scheduled_at: ",
            "task.expires_at: stands beside queue_timeout_ms",
            "task.expires_at: is a number, not text",
            "task.system_prompt: is empty",
            "task.attachments[0].url: ",
            "task.attachments[1].url: ",
            "task.attachments[2]: is a number, not a table",
            "task.idempotency_key: ",
            "task.mesage: is unknown; did you mean `message`?",
        ] {
            assert!(said.contains(path), "{path} in\n{said}");
        }
        assert_eq!(read_body(json!([])).unwrap_err(), "task: is a list, not a table");
    }

    #[test]
    fn the_longest_task_fits_a_message_to_a_worker() {
        use crate::dispatch::protocol::RUN_BYTES_MAX;
        // Both in their longest spelling: a byte of text becomes six of JSON.
        const { assert!(PROMPT_BYTES_MAX * 6 + BESIDE_BYTES_MAX + 128 * 1024 < RUN_BYTES_MAX) };
        let large = "x".repeat(BESIDE_BYTES_MAX);
        let body = json!({ "agent": "triager", "message": "m", "system_prompt": large });
        let said = read_body(body).unwrap_err();
        assert!(said.starts_with("task.system_prompt: with what else comes"), "{said}");
        let body = json!({ "agent": "triager", "message": "m".repeat(PROMPT_BYTES_MAX + 1) });
        assert!(read_body(body).unwrap_err().starts_with("task.message: has 262145 bytes"));
    }
}
