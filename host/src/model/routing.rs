//! Which workers a run may go to, and what a worker offers.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{Enforces, Policy};

/// What a worker has to have. What is absent is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// What it can do, all of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// The tools it has, all of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tools: BTreeSet<String>,
    /// Its labels, all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The cluster it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The region it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What it runs on, such as `linux/x86_64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What a worker has, and what it can enforce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Offer {
    /// What it can do.
    pub capabilities: BTreeSet<String>,
    /// The tools it has.
    pub tools: BTreeSet<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The cluster it is in.
    pub cluster: Option<String>,
    /// The region it is in.
    pub region: Option<String>,
    /// What it runs on, such as `linux/x86_64`.
    pub platform: Option<String>,
    /// The policies it can enforce.
    pub enforces: Enforces,
}

impl Offer {
    /// Why a worker with this offer cannot take a run; none when it can.
    pub fn unmet(&self, routing: &Routing, policy: Option<&Policy>) -> Option<String> {
        if let Some(missing) = routing.capabilities.difference(&self.capabilities).next() {
            return Some(format!("capability {missing}"));
        }
        if let Some(missing) = routing.tools.difference(&self.tools).next() {
            return Some(format!("tool {missing}"));
        }
        let differs = |(key, value): &(&String, &String)| self.labels.get(*key) != Some(value);
        if let Some((key, value)) = routing.labels.iter().find(differs) {
            return Some(format!("label {key}={value}"));
        }
        let places = [
            ("cluster", &routing.cluster, &self.cluster),
            ("region", &routing.region, &self.region),
            ("platform", &routing.platform, &self.platform),
        ];
        for (what, asked, had) in places {
            if let Some(asked) = asked.as_ref().filter(|asked| had.as_ref() != Some(*asked)) {
                return Some(format!("{what} {asked}"));
            }
        }
        policy.and_then(|policy| self.enforces.unmet(policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_demand_is_held_against_the_offer() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let offer = Offer {
            capabilities: words(&["git", "docker"]),
            tools: words(&["cargo"]),
            labels: [("team".to_owned(), "core".to_owned())].into(),
            region: Some("eu".to_owned()),
            ..Offer::default()
        };
        for (routing, unmet) in [
            (r"{}", None),
            (r#"{"capabilities":["git"],"tools":["cargo"],"labels":{"team":"core"}}"#, None),
            (r#"{"region":"eu"}"#, None),
            (r#"{"capabilities":["git","gpu"]}"#, Some("capability gpu")),
            (r#"{"tools":["npm"]}"#, Some("tool npm")),
            (r#"{"labels":{"team":"infra"}}"#, Some("label team=infra")),
            (r#"{"labels":{"tier":"1"}}"#, Some("label tier=1")),
            (r#"{"region":"us"}"#, Some("region us")),
            (r#"{"cluster":"a"}"#, Some("cluster a")),
            (r#"{"platform":"linux/arm"}"#, Some("platform linux/arm")),
        ] {
            let routing: Routing = serde_json::from_str(routing).unwrap();
            assert_eq!(offer.unmet(&routing, None).as_deref(), unmet);
        }
        assert!(serde_json::from_str::<Routing>(r#"{"tool":["npm"]}"#).is_err());
        let policy = Policy::default();
        assert_eq!(offer.unmet(&Routing::default(), Some(&policy)).unwrap(), "host = sandbox");
    }
}
