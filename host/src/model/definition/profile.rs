//! How the work of agents, triggers and jobs is to be carried out, as their authors say it, and what
//! it comes to for one run.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Agent, Definitions};
use crate::model::command::OnLost;
use crate::model::content::Content;
use crate::model::name::Name;
use crate::model::policy::PolicyDraft;
use crate::model::routing::Routing;
use crate::model::run::{SessionRef, Terms};
use crate::model::scope::Scope;
use crate::model::session::SessionKey;

/// An agent, with what holds for all of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Who it is.
    pub agent: Agent,
    /// How many commands of one execution class are out at once; without limit when absent.
    pub concurrency: Option<u32>,
    /// How many commands of a lane are out at once; without limit where it is not named.
    pub lanes: BTreeMap<Name, u32>,
    /// The restrictions of its work.
    pub policy: Option<PolicyDraft>,
    /// More of them for prompts with a sender's words outside of a fence.
    pub policy_untrusted: Option<PolicyDraft>,
    /// What becomes of its work when a worker is lost, unless it is said nearer.
    pub on_lost: Option<OnLost>,
    /// How long its work waits for a worker, unless it is said nearer.
    pub queue_timeout: Option<Duration>,
}

impl Profile {
    /// An agent that says nothing of its work.
    pub fn of(agent: Agent) -> Self {
        Self {
            agent,
            concurrency: None,
            lanes: BTreeMap::new(),
            policy: None,
            policy_untrusted: None,
            on_lost: None,
            queue_timeout: None,
        }
    }
}

/// What a trigger, a job or a task asks for its own runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// The concurrency group within the agent.
    pub lane: Option<Name>,
    /// Restrictions beside the agent's.
    pub policy: Option<PolicyDraft>,
    /// More of them for prompts with a sender's words outside of a fence.
    pub policy_untrusted: Option<PolicyDraft>,
    /// What the worker has to have.
    pub routing: Routing,
    /// The conversation it belongs to.
    pub session: Option<SessionKey>,
    /// What becomes of it when its worker is lost.
    pub on_lost: Option<OnLost>,
    /// How long it waits for a worker.
    pub queue_timeout: Option<Duration>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
}

impl Definitions {
    /// The agent of this name, as it is defined.
    pub fn profile(&self, scope: &Scope, agent: &Name) -> Option<&Profile> {
        let is_meant = |one: &&Profile| one.agent.name == *agent && one.agent.scope == *scope;
        self.agents.iter().find(is_meant)
    }

    /// The terms of a run with these demands on this agent: the policy is all that is said of it
    /// narrowed to what everybody allows, and of the rest the nearest word counts: the demand, the
    /// agent, the host.
    pub fn terms(&self, scope: &Scope, agent: &Name, demands: &Demands, content: Content) -> Terms {
        let profile = self.profile(scope, agent);
        let untrusted = content == Content::Unfenced;
        let drafts = [
            profile.and_then(|profile| profile.policy.clone()),
            demands.policy.clone(),
            profile.and_then(|profile| profile.policy_untrusted.clone()).filter(|_| untrusted),
            demands.policy_untrusted.clone().filter(|_| untrusted),
        ];
        let queue_timeout = demands
            .queue_timeout
            .or(profile.and_then(|profile| profile.queue_timeout))
            .or(self.queue_timeout);
        Terms {
            lane: demands.lane.clone(),
            policy: PolicyDraft::settle(drafts),
            routing: demands.routing.clone(),
            session: demands.session.clone().map(|key| SessionRef::of(scope, key)),
            on_lost: demands
                .on_lost
                .or(profile.and_then(|profile| profile.on_lost))
                .unwrap_or_default(),
            queue_timeout_ms: queue_timeout.map(millis),
            timeout_ms: demands.timeout.map(millis),
            ..Terms::default()
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::policy::{Ask, Security};
    use crate::model::problem::Problems;

    fn draft(policy: Value) -> Option<PolicyDraft> {
        Some(PolicyDraft::read(&policy, "policy", &mut Problems::default()).unwrap())
    }

    fn defined() -> Definitions {
        let agent = Agent { scope: Scope::Global, name: "triager".parse().unwrap() };
        let profile = Profile {
            policy: draft(json!({ "security": "full", "ask": "on-miss" })),
            policy_untrusted: draft(json!({ "network_enabled": false })),
            on_lost: Some(OnLost::Fail),
            queue_timeout: Some(Duration::from_secs(60)),
            ..Profile::of(agent)
        };
        Definitions { agents: vec![profile], ..Definitions::default() }
    }

    fn terms(agent: &str, demands: &Demands, content: Content) -> Terms {
        defined().terms(&Scope::Global, &agent.parse().unwrap(), demands, content)
    }

    #[test]
    fn nobody_who_says_nothing_gets_a_policy() {
        let terms = terms("reviewer", &Demands::default(), Content::Unfenced);
        assert_eq!(terms, Terms::default());
    }

    #[test]
    fn policies_narrow_each_other() {
        let demands = Demands {
            policy: draft(json!({ "security": "deny", "ask": "off" })),
            policy_untrusted: draft(json!({ "ask": "always" })),
            ..Demands::default()
        };
        let policy = terms("triager", &demands, Content::Fenced).policy.unwrap();
        let seen = (policy.security, policy.ask, policy.network_enabled);
        assert_eq!(seen, (Security::Deny, Ask::OnMiss, true));
        let policy = terms("triager", &demands, Content::Unfenced).policy.unwrap();
        let seen = (policy.security, policy.ask, policy.network_enabled);
        assert_eq!(seen, (Security::Deny, Ask::Always, false));
    }

    #[test]
    fn the_nearest_word_counts() {
        let own = Demands {
            on_lost: Some(OnLost::Requeue),
            queue_timeout: Some(Duration::from_secs(5)),
            ..Demands::default()
        };
        for (demands, on_lost, timeout_ms) in
            [(Demands::default(), OnLost::Fail, 60_000), (own, OnLost::Requeue, 5_000)]
        {
            let terms = terms("triager", &demands, Content::Trusted);
            assert_eq!((terms.on_lost, terms.queue_timeout_ms), (on_lost, Some(timeout_ms)));
        }
        let host =
            Definitions { queue_timeout: Some(Duration::from_secs(7)), ..Definitions::default() };
        let agent = "reviewer".parse().unwrap();
        let terms = host.terms(&Scope::Global, &agent, &Demands::default(), Content::Trusted);
        assert_eq!(terms.queue_timeout_ms, Some(7_000));
    }
}
