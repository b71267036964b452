//! Workers, as people read them.

use serde::Deserialize;

use crate::cli::output::{NONE, Table, fields, or_none, table};
use crate::cli::plain::Plain;
use crate::model::id::WorkerId;
use crate::model::name::Name;
use crate::model::routing::Offer;
use crate::model::time::Time;
use crate::model::worker::{AdminState, Approval, Health};

/// A worker, as the host tells of it.
#[derive(Debug, Deserialize)]
pub(super) struct Worker {
    id: WorkerId,
    name: Plain,
    workspace_id: Option<Name>,
    approval: Approval,
    admin_state: AdminState,
    health: Health,
    draining: bool,
    agents: Vec<Served>,
    capacity: u32,
    active: u32,
    offer: Offer,
    credential_prefix: Option<Plain>,
    registered_at: Time,
    last_heartbeat_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
struct Served {
    workspace_id: String,
    name: Name,
}

impl Worker {
    fn agents(&self) -> String {
        let name = |Served { workspace_id, name }: &Served| match workspace_id.as_str() {
            "" => name.to_string(),
            workspace => format!("{workspace}/{name}"),
        };
        some(self.agents.iter().map(name))
    }

    fn load(&self) -> String {
        format!("{}/{}", self.active, self.capacity)
    }
}

/// Words in a row, or the sign that there are none.
fn some(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { NONE.to_owned() } else { Plain::from(&*words.join(", ")).line() }
}

pub(super) fn listed(workers: &[Worker]) -> Table {
    let row = |worker: &Worker| {
        [
            worker.id.to_string(),
            worker.name.line(),
            worker.health.to_string(),
            worker.approval.to_string(),
            worker.admin_state.to_string(),
            worker.agents(),
            worker.load(),
            or_none(worker.last_heartbeat_at),
        ]
    };
    let headings =
        ["ID", "NAME", "HEALTH", "APPROVAL", "WANTED", "AGENTS", "ACTIVE", "LAST HEARD OF"];
    table(headings, workers.iter().map(row))
}

/// How a worker stands after a change, on one line.
pub(super) fn standing(worker: &Worker) -> String {
    let Worker { id, name, approval, admin_state, health, draining, .. } = worker;
    let draining = if *draining { ", draining" } else { "" };
    format!("{id} {} is {approval}, {admin_state}{draining}; {health}\n", name.line())
}

pub(super) fn shown(worker: &Worker) -> String {
    let offer = &worker.offer;
    let labels = offer.labels.iter().map(|(key, value)| format!("{key}={value}"));
    fields([
        ("id", worker.id.to_string()),
        ("name", worker.name.line()),
        ("workspace", or_none(worker.workspace_id.as_ref())),
        ("health", worker.health.to_string()),
        ("approval", worker.approval.to_string()),
        ("wanted", worker.admin_state.to_string()),
        ("draining", if worker.draining { "yes" } else { "no" }.to_owned()),
        ("agents", worker.agents()),
        ("active", worker.load()),
        ("capabilities", some(offer.capabilities.iter().cloned())),
        ("tools", some(offer.tools.iter().cloned())),
        ("labels", some(labels)),
        ("cluster", some(offer.cluster.iter().cloned())),
        ("region", some(offer.region.iter().cloned())),
        ("platform", some(offer.platform.iter().cloned())),
        (
            "credential",
            worker
                .credential_prefix
                .as_ref()
                .map_or("an API key".to_owned(), |p| format!("{}…", p.line())),
        ),
        ("registered", worker.registered_at.to_string()),
        ("last heard of", or_none(worker.last_heartbeat_at)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{
        "id": "wrk_00000000000000000000000000000001", "name": "build\u001b[1m box",
        "scope": "workspace", "workspace_id": "acme", "approval": "pending",
        "admin_state": "active", "health": "online", "draining": true,
        "agents": [{"workspace_id": "acme", "name": "triager"}, {"workspace_id": "", "name": "b"}],
        "capacity": 4, "active": 1,
        "offer": {"labels": {"team": "core"}, "tools": ["cargo", "git"]},
        "credential_prefix": "hlk_wrk_0a1b2c", "registered_at": "2026-01-31T09:00:00.000Z",
        "last_heartbeat_at": null }"#;

    fn worker() -> Worker {
        serde_json::from_str(JSON).unwrap()
    }

    fn uncoloured(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_worker_takes_one_line_of_a_listing() {
        let text = uncoloured(&listed(&[worker()]).to_string());
        let row = text.lines().nth(1).unwrap();
        assert_eq!(
            row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>(),
            [
                "wrk_00000000000000000000000000000001",
                "build box",
                "online",
                "pending",
                "active",
                "acme/triager, b",
                "1/4",
                "-"
            ]
        );
    }

    #[test]
    fn a_worker_is_shown_with_what_it_offers() {
        let text = uncoloured(&shown(&worker()));
        for line in [
            "workspace      acme\n",
            "draining       yes\n",
            "tools          cargo, git\n",
            "labels         team=core\n",
            "region         -\n",
            "credential     hlk_wrk_0a1b2c…\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains('\u{1b}'));
        let wanted = "wrk_00000000000000000000000000000001 build box is pending, active, draining; \
                      online\n";
        assert_eq!(standing(&worker()), wanted);
    }
}
