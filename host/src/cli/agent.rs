//! `hillock agent`: who does the work, and how.

use serde_json::{Map, Value};

use super::definition::{Column, Flags, note};
use super::demands::table;
use crate::model::command::OnLost;
use crate::model::definition::DefinitionKind;
use crate::model::name::Name;

/// The flags of an agent.
#[derive(Debug, clap::Args)]
pub struct Agent {
    /// Limit how many commands of one execution class run at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// Limit how many commands of a lane run at once. Repeatable.
    #[arg(long = "lane", value_name = "NAME=N", value_parser = lane)]
    lanes: Vec<(Name, u32)>,
    /// Restrictions on the agent's programs, as JSON: `{"security":"deny"}`.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy: Option<Value>,
    /// Further restrictions for prompts that hold sender content outside a fence, as JSON.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy_untrusted: Option<Value>,
    /// What happens to a run whose worker is lost: requeue or fail.
    #[arg(long, value_name = "ANSWER")]
    on_lost: Option<OnLost>,
    /// How long a run waits for a worker before it expires, such as 1h.
    #[arg(long, value_name = "DURATION")]
    queue_timeout: Option<String>,
}

impl Flags for Agent {
    const KIND: DefinitionKind = DefinitionKind::Agent;
    const COLUMNS: &'static [Column] =
        &[Column { heading: "CONCURRENCY", cell: |agent| agent.word("concurrency") }];

    fn table(&self, _patching: bool) -> Map<String, Value> {
        let mut table = Map::new();
        note(&mut table, "concurrency", self.concurrency);
        let lane = |(name, limit): &(Name, u32)| (name.to_string(), Value::from(*limit));
        let lanes: Map<String, Value> = self.lanes.iter().map(lane).collect();
        note(&mut table, "lanes", Some(lanes).filter(|lanes| !lanes.is_empty()));
        note(&mut table, "policy", self.policy.clone());
        note(&mut table, "policy_untrusted", self.policy_untrusted.clone());
        note(&mut table, "on_lost", self.on_lost.map(OnLost::as_str));
        note(&mut table, "queue_timeout", self.queue_timeout.as_deref());
        table
    }
}

fn lane(text: &str) -> Result<(Name, u32), String> {
    let (name, limit) = text.split_once('=').ok_or("is not NAME=N")?;
    let name = name.parse().map_err(|reason| format!("{reason}"))?;
    let limit = limit.parse().ok().filter(|limit| *limit > 0);
    Ok((name, limit.ok_or_else(|| format!("`{text}` has no number above 0"))?))
}
