//! The flags that say how the runs of triggers and jobs are to be carried out.

use serde_json::{Map, Value};

use super::definition::note;
use crate::model::command::OnLost;
use crate::model::json;
use crate::model::name::Name;
use crate::model::session::SessionKey;

/// Those of triggers and jobs alike.
#[derive(Debug, Default, clap::Args)]
pub struct Demands {
    /// The concurrency lane within the agent.
    #[arg(long, value_name = "NAME")]
    lane: Option<Name>,
    /// Restrictions in addition to the agent's, as JSON: `{"security":"deny"}`.
    #[arg(long, value_name = "JSON", value_parser = table)]
    policy: Option<Value>,
    /// What the worker must offer, as JSON: `{"labels":{"team":"core"}}`.
    #[arg(long, value_name = "JSON", value_parser = table)]
    routing: Option<Value>,
    /// The key of the session that the runs share.
    #[arg(long, value_name = "KEY")]
    session: Option<SessionKey>,
    /// What happens to a run whose worker is lost: requeue or fail.
    #[arg(long, value_name = "ANSWER")]
    on_lost: Option<OnLost>,
    /// How long a run waits for a worker before it expires, such as 1h.
    #[arg(long, value_name = "DURATION")]
    queue_timeout: Option<String>,
    /// How long one attempt may take, such as 5m.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

impl Demands {
    /// Notes those that were given.
    pub(super) fn add_to(&self, fields: &mut Map<String, Value>) {
        note(fields, "lane", self.lane.as_ref().map(Name::as_str));
        note(fields, "policy", self.policy.clone());
        note(fields, "routing", self.routing.clone());
        note(fields, "session", self.session.as_ref().map(SessionKey::as_str));
        note(fields, "on_lost", self.on_lost.map(OnLost::as_str));
        note(fields, "queue_timeout", self.queue_timeout.as_deref());
        note(fields, "timeout", self.timeout.as_deref());
    }
}

/// A table, as JSON.
pub(super) fn table(text: &str) -> Result<Value, String> {
    match json::read(text.as_bytes()) {
        Ok(table @ Value::Object(_)) => Ok(table),
        Ok(_) => Err("is not a table".to_owned()),
        Err(error) => Err(format!("is not JSON: {error}")),
    }
}
