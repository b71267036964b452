//! `[[agents]]`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{Fields, count, described, duration, word};
use super::{demands, scope};
use crate::model::definition::{Agent, Profile};
use crate::model::name::Name;

/// The most commands of a class or a lane that may be let out at once.
const CONCURRENCY_MAX: u32 = 1_000_000;

pub(super) fn parse(mut fields: Fields<'_>) -> Option<Profile> {
    let name = fields.required("name", word);
    let scope = scope(&mut fields);
    let concurrency = fields.optional("concurrency", count(1, CONCURRENCY_MAX));
    let lanes = lanes(&mut fields);
    let policy = demands::policy(&mut fields, "policy");
    let policy_untrusted = demands::policy(&mut fields, "policy_untrusted");
    let on_lost = fields.optional("on_lost", word);
    let queue_timeout = fields.optional("queue_timeout", duration);
    fields.close();
    Some(Profile {
        agent: Agent { scope: scope?, name: name? },
        concurrency: concurrency?,
        lanes: lanes?,
        policy: policy?,
        policy_untrusted: policy_untrusted?,
        on_lost: on_lost?,
        queue_timeout: queue_timeout?,
    })
}

/// `lanes = { NAME = LIMIT, … }`.
fn lanes(fields: &mut Fields<'_>) -> Option<BTreeMap<Name, u32>> {
    let table = match fields.raw("lanes") {
        None => return Some(BTreeMap::new()),
        Some(Value::Object(table)) => table,
        Some(other) => {
            fields.problem("lanes", format!("is {}: {{ NAME = LIMIT }}", described(&other)));
            return None;
        }
    };
    let mut lanes = BTreeMap::new();
    let mut sound = true;
    for (name, limit) in table {
        let path = format!("lanes.{name}");
        let lane = fields.parsed(&path, &Value::from(name), word::<Name>);
        let limit = fields.parsed(&path, &limit, count(1, CONCURRENCY_MAX));
        match lane.zip(limit) {
            Some((lane, limit)) => drop(lanes.insert(lane, limit)),
            None => sound = false,
        }
    }
    sound.then_some(lanes)
}
