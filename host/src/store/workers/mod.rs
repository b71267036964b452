//! Workers: who may come, who is there, and what an administrator wants of each.
//!
//! ```text
//! bootstrap token ──► registered: a credential, shown once ──► connection ──► heartbeats ──► gone
//!       API key ─────────────────────────────────────────────►┘
//! ```
//! A row says what holds of a worker on every replica of the host. Whoever keeps a connection looks
//! at the row when it opens, at every heartbeat and every few seconds in between, and closes it when
//! the row says so. The row's `connection` is the mark of the latest one: an earlier one changes
//! nothing any more.

mod audited;
mod presence;
mod register;
mod state;
mod tokens;
mod words;

use super::sql::{Reader, Row, Sql, binds};
use super::{Page, PageRequest, Store, StoreError, events};
use crate::model::bounds;
use crate::model::definition::Agent;
use crate::model::id::WorkerId;
use crate::model::scope::{Reach, Scope};
use crate::model::worker::{AdminState, Approval, Dismissal, Health, Pass, Worker};
pub use presence::{Arrival, Changed, arrive, depart, heard, leave, standings, sweep};
pub use register::{Admission, NewWorker, register};
pub use state::{Change, Refusal, change, rotate};
pub use tokens::{BootstrapToken, NewToken, create_token, list_tokens, revoke_token};
pub use words::tell;

/// Which workers to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerFilter {
    /// That fare like this only.
    pub health: Option<Health>,
    /// That stand like this only.
    pub approval: Option<Approval>,
    /// Of which this is wanted only.
    pub admin_state: Option<AdminState>,
}

/// A query of workers. What they have is counted where it is the truth.
macro_rules! select_workers {
    ($rest:literal) => {
        concat!(
            "\
SELECT w.seq, w.id, w.workspace_id, w.name, w.approval, w.admin_state, w.health,
       w.draining + w.leaving AS draining, w.agents, w.capacity, w.offer, w.credential_prefix,
       w.registered_at, w.last_heartbeat_at, coalesce(c.active, 0) AS active
  FROM workers w
  LEFT JOIN (SELECT worker_id, count(*) AS active
               FROM commands
              WHERE state IN ('sent', 'acknowledged', 'running')
                AND class_id IS NOT NULL
              GROUP BY worker_id) c ON c.worker_id = w.id
",
            $rest
        )
    };
}

// One that is gone for good does not stand in the way of another of its name.
const SELECT_NAMED: &str = select_workers!(
    " WHERE w.workspace_id = $1
   AND (w.id = $2 OR (w.name = $2 AND w.admin_state <> 'revoked'))
 ORDER BY CASE WHEN w.id = $2 THEN 0 ELSE 1 END, w.seq
 LIMIT 2"
);

// There are few: no index has to be used.
const SELECT_PAGE: Sql = Sql {
    sqlite: select_workers!(
        " WHERE ($1 IS NULL OR w.workspace_id = $1)
   AND w.seq < $2
   AND ($3 IS NULL OR w.health = $3)
   AND ($4 IS NULL OR w.approval = $4)
   AND ($5 IS NULL OR w.admin_state = $5)
 ORDER BY w.seq DESC
 LIMIT $6"
    ),
    postgres: select_workers!(
        " WHERE ($1::text IS NULL OR w.workspace_id = $1)
   AND w.seq < $2
   AND ($3::text IS NULL OR w.health = $3)
   AND ($4::text IS NULL OR w.approval = $4)
   AND ($5::text IS NULL OR w.admin_state = $5)
 ORDER BY w.seq DESC
 LIMIT $6"
    ),
};

const SELECT_ON_DUTY: &str = select_workers!(
    " WHERE w.health = 'online'
   AND w.approval = 'approved'
   AND w.admin_state = 'active'
   AND w.draining + w.leaving = 0"
);

const SELECT_KEPT_FROM_WORK: &str = select_workers!(
    " WHERE w.health IN ('online', 'degraded', 'draining')
   AND w.admin_state <> 'revoked'
   AND (w.approval = 'pending' OR w.admin_state = 'disabled' OR w.draining + w.leaving > 0)"
);

const SELECT_BY_CREDENTIAL: &str = "\
SELECT id, approval, admin_state
  FROM workers
 WHERE credential_hash = $1";

/// What a name or an identifier stands for.
#[derive(Clone, Debug)]
pub enum Named {
    /// No worker here.
    Nobody,
    /// This one.
    One(Box<Worker>),
    /// Several, of which these are two.
    Several(WorkerId, WorkerId),
}

/// The worker of this scope with this identifier, else the one of this name.
///
/// # Errors
/// When the store fails.
pub async fn find(store: &Store, scope: &Scope, named: &str) -> Result<Named, StoreError> {
    let binds = binds![scope.workspace_id(), named];
    let rows = store.read("read_worker", SELECT_NAMED, &binds).await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(match (found.next(), found.next()) {
        (None, _) => Named::Nobody,
        (Some(one), Some(other)) if one.id.as_str() != named => Named::Several(one.id, other.id),
        (Some(one), _) => Named::One(Box::new(one)),
    })
}

/// Workers, newest first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &WorkerFilter,
    page: PageRequest,
) -> Result<Page<Worker>, StoreError> {
    let reach = reach.into();
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.health.map(Health::as_str),
        filter.approval.map(Approval::as_str),
        filter.admin_state.map(AdminState::as_str),
        page.fetch(),
    ];
    let rows = store.read("list_workers", SELECT_PAGE, &binds).await?;
    Page::read("workers", &rows, page, read)
}

/// The connected workers that are given nothing: they wait to be let in, are switched off, or take
/// nothing new.
///
/// # Errors
/// When the store fails.
pub async fn kept_from_work(store: &Store) -> Result<Vec<Worker>, StoreError> {
    let rows = store.read("find_workers", SELECT_KEPT_FROM_WORK, &[]).await?;
    rows.iter().map(read).collect()
}

/// The workers that commands may go to, those without room among them: whichever replica they are
/// connected to.
///
/// # Errors
/// When the store fails.
pub async fn on_duty(store: &Store) -> Result<Vec<Worker>, StoreError> {
    let rows = store.read("find_workers", SELECT_ON_DUTY, &[]).await?;
    rows.iter().map(read).collect()
}

/// Whom the credential with this SHA-256 lets in, or why not. None when it is nobody's.
///
/// # Errors
/// When the store fails.
pub async fn admitted(
    store: &Store,
    hash: [u8; 32],
) -> Result<Option<Result<Pass, Dismissal>>, StoreError> {
    let rows = store.read("find_credential", SELECT_BY_CREDENTIAL, &binds![&hash[..]]).await?;
    let pass = |row: &Row| {
        let r = Reader::new("workers", row);
        let dismissed = dismissed(r.text("approval")?, r.text("admin_state")?);
        let worker_id = r.text("id")?;
        Ok(dismissed.map_or(Ok(Pass::Credential { worker_id, hash }), Err))
    };
    rows.first().map(pass).transpose()
}

/// Why a worker that stands like this may not come in; none when it may.
fn dismissed(approval: Approval, admin_state: AdminState) -> Option<Dismissal> {
    match (approval, admin_state) {
        (_, AdminState::Revoked) => Some(Dismissal::Revoked),
        (Approval::Rejected, _) => Some(Dismissal::Rejected),
        _ => None,
    }
}

fn read(row: &Row) -> Result<Worker, StoreError> {
    let r = Reader::new("workers", row);
    Ok(Worker {
        id: r.text("id")?,
        scope: events::read_scope(&r)?,
        name: bounds::name(&r.get::<String>("name")?),
        approval: r.text("approval")?,
        admin_state: r.text("admin_state")?,
        health: r.text("health")?,
        draining: r.flag("draining")?,
        agents: r.parse("agents", |text: String| agents_from(&text))?,
        capacity: r.count("capacity")?,
        active: r.count("active")?,
        offer: bounds::offer(r.json("offer")?),
        credential_prefix: r.get("credential_prefix")?,
        registered_at: r.time("registered_at")?,
        last_heartbeat_at: r.time_if_any("last_heartbeat_at")?,
    })
}

/// Agents as the column has them: pairs of workspace and name.
fn agents_to(agents: &[Agent]) -> String {
    let pair = |agent: &Agent| (agent.scope.workspace_id().to_owned(), agent.name.clone());
    let pairs: Vec<_> = agents.iter().map(pair).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn agents_from(text: &str) -> Option<Vec<Agent>> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    let agent = |(workspace, name): (String, String)| {
        Some(Agent { scope: Scope::parse(&workspace).ok()?, name: name.parse().ok()? })
    };
    pairs.into_iter().map(agent).collect()
}
