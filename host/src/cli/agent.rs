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
    /// How many commands of one execution class are out at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,
    /// How many commands of a lane are out at once. May be given several times.
    #[arg(long = "lane", value_name = "NAME=N", value_parser = lane)]
    lanes: Vec<(Name, u32)>,
    /// The restrictions of its work, as JSON: `{"security":"deny"}`.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy: Option<Value>,
    /// More of them for prompts with a sender's words outside of a fence, as JSON.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy_untrusted: Option<Value>,
    /// What becomes of its work when a worker is lost: requeue or fail.
    #[arg(long, value_name = "ANSWER")]
    on_lost: Option<OnLost>,
    /// How long its work waits for a worker.
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
