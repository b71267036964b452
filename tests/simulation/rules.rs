//! What triggers make of events here: rules in place of components. The same event always leads to
//! the same answer, as the sandbox has it.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use hillock::config::{Keep, RetentionSettings};
use hillock::model::command::OnLost;
use hillock::model::content::Content;
use hillock::model::decision::{Decision, Verdict};
use hillock::model::definition::{Batching, FireLimit, Over, Priority, Retry};
use hillock::model::envelope::Event;
use hillock::model::id::{CommandId, GatheringId, RunId, TriggerId};
use hillock::model::policy::{Ask, Attempts, Policy, RuntimeType};
use hillock::model::run::{NewRun, Owner, SessionRef, Stages, Terms};
use hillock::model::scope::Scope;
use hillock::model::time::Time;
use hillock::store::events::Activation;
use hillock::store::firing::Firing;
use hillock::store::gatherings::BatchMember;

use super::dice::Dice;

/// How many commands may be out at once.
pub(super) struct Limits;

impl Limits {
    pub(super) const HOST: u32 = 24;
    pub(super) const CLASS: u32 = 6;
    pub(super) const LANE: u32 = 2;
}

/// How long what has ended is kept.
pub(super) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn retention() -> RetentionSettings {
    let kept = Some(KEPT);
    let keep = Keep { events: kept, runs: kept, logs: Some(KEPT / 2) };
    RetentionSettings { keep, ..RetentionSettings::default() }
}

pub(super) const KINDS: [&str; 3] = ["sim.push", "sim.issue", "sim.alarm"];
pub(super) const AGENTS: [&str; 3] = ["triager", "reviewer", "deployer"];

pub(super) fn scopes() -> [Scope; 2] {
    [Scope::Global, Scope::parse("acme").unwrap()]
}

/// A policy that some workers can enforce.
pub(super) fn policy() -> Policy {
    let retry = Attempts { attempts: 3, delay_ms: 5_000 };
    Policy { runtime_type: RuntimeType::Process, retry, ..Policy::default() }
}

struct Rule {
    name: &'static str,
    kind: &'static str,
    agent: &'static str,
    /// It lets one event in so many pass.
    passes: u64,
    gather: Option<Batching>,
    limit: Option<FireLimit>,
    retry: Retry,
    terms: fn(&Scope, u64) -> Terms,
}

fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        let secs = Duration::from_secs;
        let backoff = Retry::Backoff { max_retries: 3, base_delay_ms: 2_000 };
        let limit = |max, window| Some(FireLimit { max, window: secs(window), over: Over::Drop });
        let rule = |name, kind, agent| Rule {
            name,
            kind,
            agent,
            passes: 1,
            gather: None,
            limit: None,
            retry: Retry::None,
            terms: |_, _| Terms::default(),
        };
        vec![
            Rule { retry: backoff, ..rule("triage", KINDS[0], AGENTS[0]) },
            Rule { passes: 3, limit: limit(5, 600), ..rule("watch", KINDS[0], AGENTS[1]) },
            Rule { passes: 2, terms: in_session, ..rule("talk", KINDS[0], AGENTS[0]) },
            Rule { gather: Some(burst()), ..rule("digest", KINDS[1], AGENTS[0]) },
            Rule {
                gather: Some(batch()),
                limit: limit(3, 900),
                ..rule("collect", KINDS[1], AGENTS[1])
            },
            Rule { terms: at_most_once, ..rule("deploy", KINDS[2], AGENTS[2]) },
            Rule { passes: 4, retry: backoff, terms: asking, ..rule("ask", KINDS[2], AGENTS[2]) },
            // It may fail, too, and hears of that: until the guard says that it lies too deep.
            rule("mend", "hook.run.failed", AGENTS[1]),
        ]
    });
    &RULES
}

fn burst() -> Batching {
    let (window, max_wait) = (Duration::from_secs(8), Some(Duration::from_secs(30)));
    Batching::Debounce { key: None, window, max_wait }
}

fn batch() -> Batching {
    Batching::Batch { key: None, size: 4, wait: Duration::from_secs(30) }
}

fn in_session(scope: &Scope, number: u64) -> Terms {
    let key = format!("talk {}", number % 5).parse().unwrap();
    Terms { session: Some(SessionRef::of(scope, key)), ..Terms::default() }
}

fn at_most_once(_: &Scope, _: u64) -> Terms {
    let lane = Some("slow".parse().unwrap());
    Terms { lane, on_lost: OnLost::Fail, ..Terms::default() }
}

fn asking(_: &Scope, number: u64) -> Terms {
    let ask = if number.is_multiple_of(8) { Ask::Always } else { Ask::OnMiss };
    Terms { policy: Some(Policy { ask, ..policy() }), ..Terms::default() }
}

impl Rule {
    fn id(&self, scope: &Scope) -> TriggerId {
        TriggerId::derive(scope, self.name)
    }

    fn firing(&self, event: &Event, now: Time, dice: &mut Dice) -> Firing {
        let run = NewRun {
            id: RunId::mint(now, dice.bytes()),
            scope: event.scope.clone(),
            owner: Owner::Trigger { id: self.id(&event.scope), name: self.name.parse().unwrap() },
            event_id: Some(event.id.clone()),
            fire: None,
            agent: self.agent.parse().unwrap(),
            prompt: format!("work of {}", self.name),
            content: Content::Fenced,
            task: None,
            priority: if self.passes > 1 { Priority::High } else { Priority::Normal },
            retry: self.retry,
            depth: event.depth,
            causes: event.causes.clone(),
            stages: Stages::default(),
            terms: (self.terms)(&event.scope, number_of(event)),
            created_at: now,
        };
        Firing { run, command_id: CommandId::mint(now, dice.bytes()), limit: self.limit }
    }
}

/// The limit of the trigger with this identifier.
pub(super) fn limit_of(owner: &str) -> Option<FireLimit> {
    static LIMITS: LazyLock<HashMap<String, FireLimit>> = LazyLock::new(|| {
        let limited = |scope: Scope| {
            let limit = move |rule: &Rule| Some((rule.id(&scope).to_string(), rule.limit?));
            rules().iter().filter_map(limit)
        };
        scopes().into_iter().flat_map(limited).collect()
    });
    LIMITS.get(owner).copied()
}

/// The number that its sender gave an event.
fn number_of(event: &Event) -> u64 {
    let data: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
    data["number"].as_u64().unwrap_or(0)
}

/// What all triggers make of an event.
pub(super) fn activation(event: &Event, now: Time, dice: &mut Dice) -> Activation {
    let (mut decisions, mut runs, mut held) = (vec![], vec![], vec![]);
    for rule in rules().iter().filter(|rule| rule.kind == event.kind.as_str()) {
        let verdict = if event.depth >= Event::DEPTH_MAX {
            Verdict::LoopGuard("too deep".to_owned())
        } else if !number_of(event).is_multiple_of(rule.passes) {
            Verdict::Filtered("number".to_owned())
        } else if let Some(gather) = &rule.gather {
            held.push(BatchMember {
                id: GatheringId::mint(now, dice.bytes()),
                trigger_id: rule.id(&event.scope),
                key: (number_of(event) % 2).to_string(),
                gather: gather.clone(),
            });
            Verdict::Held
        } else {
            let firing = rule.firing(event, now, dice);
            let fired = Verdict::Fired(firing.run.id.clone());
            runs.push(firing);
            fired
        };
        decisions.push(Decision {
            trigger_id: rule.id(&event.scope),
            trigger: rule.name.parse().unwrap(),
            verdict,
            at: now,
        });
    }
    Activation { event_id: event.id.clone(), decisions, runs, held, at: now }
}

/// The run of a gathering whose last event this is.
pub(super) fn flushed(
    trigger: &TriggerId,
    last: &Event,
    now: Time,
    dice: &mut Dice,
) -> Result<Firing, Verdict> {
    let rule = rules().iter().find(|rule| rule.id(&last.scope) == *trigger).unwrap();
    if dice.once_in(20) {
        return Err(Verdict::RenderError("no prompt".to_owned()));
    }
    Ok(rule.firing(last, now, dice))
}
