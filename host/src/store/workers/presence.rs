//! Who is there: workers come, say that they are alive, fall silent and go.
//!
//! A point of the host's life is told when a worker's health changes between being there and being
//! gone, in the transaction that changes it: so nobody hears twice in a row that it came, or went.

use std::sync::Arc;

use serde_json::json;

use super::super::audit;
use super::super::sql::{Reader, Row, Sql, Tx, binds};
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError, events, notices};
use super::audited::{Decided, Done};
use super::{agents_to, dismissed};
use crate::model::audit::Author;
use crate::model::definition::{Agent, Point};
use crate::model::id::{NoticeId, WorkerId};
use crate::model::routing::Offer;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::model::worker::{
    AdminState, Approval, DEGRADED_AFTER, Dismissal, Eligibility, Health, OFFLINE_AFTER, Presence,
};
use crate::store::notices::Notice;

/// What a heartbeat says has changed of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The agents it serves.
    pub agents: Option<Vec<Agent>>,
    /// How many commands it takes at once.
    pub capacity: Option<u32>,
    /// What it has, and what it can enforce.
    pub offer: Option<Offer>,
}

impl Changed {
    /// As the statements take it: agents, capacity and offer.
    fn binds(&self) -> (Option<String>, Option<i64>, Option<String>) {
        let offer = |offer: &Offer| serde_json::to_string(offer).unwrap_or_default();
        (
            self.agents.as_deref().map(agents_to),
            self.capacity.map(i64::from),
            self.offer.as_ref().map(offer),
        )
    }
}

/// A worker that opens a connection, as it introduces itself.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Who it is, and by what it came.
    pub presence: Presence,
    /// What people call it.
    pub name: String,
    /// The agents it serves.
    pub agents: Vec<Agent>,
    /// How many commands it takes at once.
    pub capacity: u32,
    /// What it has, and what it can enforce.
    pub offer: Offer,
}

macro_rules! select_standing {
    ($rest:literal) => {
        concat!(
            "\
SELECT id, workspace_id, name, approval, admin_state, health, draining, leaving, credential_hash,
       connection
  FROM workers
",
            $rest
        )
    };
}

const SELECT_STANDING: Sql = Sql {
    sqlite: select_standing!(" WHERE id = $1"),
    postgres: select_standing!(
        " WHERE id = $1
   FOR UPDATE"
    ),
};

const SELECT_STANDINGS: Sql = Sql {
    sqlite: select_standing!(" WHERE id IN (SELECT value FROM json_each($1))"),
    postgres: select_standing!(" WHERE id IN (SELECT json_array_elements_text($1::json))"),
};

const INSERT: &str = "\
INSERT INTO workers
       (id, workspace_id, name, approval, admin_state, health, draining, leaving, agents, capacity,
        offer, registered_at, last_heartbeat_at, connection)
VALUES ($1, '', $2, 'approved', 'active', 'online', 0, 0, $3, $4, $5, $6, $6, $7)";

// Who comes with an administrator's key needs nobody's approval.
const ARRIVE: &str = "\
UPDATE workers
   SET name = $2, agents = $3, capacity = $4, offer = $5, last_heartbeat_at = $6, connection = $7,
       leaving = 0, health = CASE WHEN draining = 1 THEN 'draining' ELSE 'online' END,
       approval = CASE WHEN $8 = 1 THEN 'approved' ELSE approval END
 WHERE id = $1";

// The one statement of a heartbeat. What it finds amiss, and who comes back from being gone, is
// looked at more closely.
const HEAR: Sql = Sql {
    sqlite: "\
UPDATE workers
   SET last_heartbeat_at = $4, capacity = coalesce($5, capacity), offer = coalesce($6, offer),
       agents = coalesce($7, agents),
       health = CASE WHEN draining + leaving > 0 THEN 'draining' ELSE 'online' END
 WHERE id = $1
   AND connection = $2
   AND ($3 IS NULL OR credential_hash = $3)
   AND health <> 'offline'
   AND approval <> 'rejected'
   AND admin_state <> 'revoked'
RETURNING id, approval, admin_state, draining, leaving",
    postgres: "\
UPDATE workers
   SET last_heartbeat_at = $4, capacity = coalesce($5, capacity), offer = coalesce($6, offer),
       agents = coalesce($7, agents),
       health = CASE WHEN draining + leaving > 0 THEN 'draining' ELSE 'online' END
 WHERE id = $1
   AND connection = $2
   AND ($3::bytea IS NULL OR credential_hash = $3)
   AND health <> 'offline'
   AND approval <> 'rejected'
   AND admin_state <> 'revoked'
RETURNING id, approval, admin_state, draining, leaving",
};

const REVIVE: &str = "\
UPDATE workers
   SET last_heartbeat_at = $2, capacity = coalesce($3, capacity), offer = coalesce($4, offer),
       agents = coalesce($5, agents),
       health = CASE WHEN draining + leaving > 0 THEN 'draining' ELSE 'online' END
 WHERE id = $1";

const LEAVE: &str = "\
UPDATE workers
   SET leaving = 1, health = CASE WHEN health = 'online' THEN 'draining' ELSE health END
 WHERE id = $1
   AND connection = $2";

const DEPART: &str = "\
UPDATE workers
   SET connection = NULL
 WHERE id = $1
   AND connection = $2
RETURNING id";

const GO_OFFLINE: &str = "\
UPDATE workers
   SET health = 'offline'
 WHERE id = $1
   AND health IN ('online', 'degraded', 'draining')
RETURNING id, workspace_id, name";

const FALL_SILENT: &str = "\
UPDATE workers
   SET health = 'offline'
 WHERE health IN ('online', 'degraded', 'draining')
   AND last_heartbeat_at <= $1
RETURNING id, workspace_id, name";

const DEGRADE: &str = "\
UPDATE workers
   SET health = 'degraded'
 WHERE health IN ('online', 'draining')
   AND last_heartbeat_at <= $1";

/// Notes that a worker has opened a connection, which is its present one from now on, and makes its
/// row when it came with an API key for the first time. Whether it may work, or why it may not stay:
/// then nothing changes.
///
/// # Errors
/// When the store fails.
pub async fn arrive(
    store: &Store,
    arrival: Arrival,
    now: Time,
) -> Result<Result<Eligibility, Dismissal>, StoreError> {
    store.write(Arrive { arrival, now, author: store.author() }).await
}

/// Notes a heartbeat, and what has changed of the worker. Whether it may work, or why it may not
/// stay: then nothing changes.
///
/// # Errors
/// When the store fails.
pub async fn heard(
    store: &Store,
    presence: &Presence,
    changed: Changed,
    now: Time,
) -> Result<Result<Eligibility, Dismissal>, StoreError> {
    store.write(Hear { presence: presence.clone(), changed, now }).await
}

/// Notes that a worker takes nothing new, until it comes again.
///
/// # Errors
/// When the store fails.
pub async fn leave(store: &Store, presence: &Presence) -> Result<(), StoreError> {
    store.write(Leave(presence.clone())).await
}

/// Notes that a connection has ended: the worker is gone, unless a later one took its place.
///
/// # Errors
/// When the store fails.
pub async fn depart(store: &Store, presence: &Presence, now: Time) -> Result<(), StoreError> {
    store.write(Depart { presence: presence.clone(), now }).await
}

/// Of each of these connections whether its worker may work, or why it may not stay.
///
/// # Errors
/// When the store fails.
pub async fn standings(
    store: &Store,
    present: &[Presence],
) -> Result<Vec<(WorkerId, Result<Eligibility, Dismissal>)>, StoreError> {
    let ids: Vec<&str> = present.iter().map(|presence| presence.worker_id.as_str()).collect();
    let binds = binds![serde_json::Value::from(ids).to_string()];
    let rows = store.read("read_workers", SELECT_STANDINGS, &binds).await?;
    let rows = rows.iter().map(Standing::read).collect::<Result<Vec<_>, _>>()?;
    let of = |presence: &Presence| {
        let row = rows.iter().find(|row| row.id == presence.worker_id);
        let standing = row.ok_or(Dismissal::Unknown).and_then(|row| row.of_connection(presence));
        (presence.worker_id.clone(), standing)
    };
    Ok(present.iter().map(of).collect())
}

/// Puts right the health of workers that have been silent, and counts those that are gone.
///
/// # Errors
/// When the store fails.
pub async fn sweep(store: &Store, now: Time) -> Result<usize, StoreError> {
    store.write(Sweep { now, author: store.author() }).await
}

/// A worker's row, as far as it says who may stay.
struct Standing {
    id: WorkerId,
    scope: Scope,
    name: String,
    approval: Approval,
    admin_state: AdminState,
    health: Health,
    draining: bool,
    leaving: bool,
    credential: Option<Vec<u8>>,
    connection: Option<String>,
}

impl Standing {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let r = Reader::new("workers", row);
        Ok(Self {
            id: r.text("id")?,
            scope: events::read_scope(&r)?,
            name: r.get("name")?,
            approval: r.text("approval")?,
            admin_state: r.text("admin_state")?,
            health: r.text("health")?,
            draining: r.flag("draining")?,
            leaving: r.flag("leaving")?,
            credential: r.get("credential_hash")?,
            connection: r.get("connection")?,
        })
    }

    async fn of(tx: &mut Tx<'_>, worker: &WorkerId) -> Result<Option<Self>, WriteError> {
        let row = tx.row(SELECT_STANDING, &binds![worker.as_str()]).await?;
        Ok(row.as_ref().map(Self::read).transpose()?)
    }

    /// Why who comes so may not come in.
    fn refuses(&self, presence: &Presence) -> Option<Dismissal> {
        let is_its_own = match presence.credential {
            Some(shown) => self.credential.as_deref() == Some(&shown[..]),
            None => true,
        };
        dismissed(self.approval, self.admin_state).or((!is_its_own).then_some(Dismissal::Rotated))
    }

    /// Why it may not serve these, if one of them is not of its own workspace.
    fn outside(&self, agents: &[Agent]) -> Option<Dismissal> {
        let own = &self.scope;
        let outside = |agent: &&Agent| *own != Scope::Global && agent.scope != *own;
        let agent = agents.iter().find(outside)?.clone();
        Some(Dismissal::Outside { own: own.clone(), agent })
    }

    /// The same of a connection that is open; whether it may work when nothing is amiss.
    fn of_connection(&self, presence: &Presence) -> Result<Eligibility, Dismissal> {
        if let Some(dismissal) = self.refuses(presence) {
            return Err(dismissal);
        }
        if self.connection.as_ref() != Some(&presence.connection) {
            return Err(Dismissal::Replaced);
        }
        Ok(Eligibility::of(self.approval, self.admin_state, self.draining || self.leaving))
    }

    fn is_gone(&self) -> bool {
        matches!(self.health, Health::Unknown | Health::Offline)
    }
}

struct Arrive {
    arrival: Arrival,
    now: Time,
    author: Arc<Author>,
}

impl Write for Arrive {
    type Output = Result<Eligibility, Dismissal>;
    const NAME: &'static str = "connect_worker";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let worker = &self.arrival.presence.worker_id;
        let Some(standing) = Standing::of(tx, worker).await? else { return self.begin(tx).await };
        if let Some(dismissal) = self.dismissal(&standing) {
            return Ok(Err(dismissal));
        }
        self.follow(tx, &standing).await.map(Ok)
    }
}

impl Arrive {
    /// Whoever comes with an API key may be new.
    async fn begin(&self, tx: &mut Tx<'_>) -> Result<Result<Eligibility, Dismissal>, WriteError> {
        let Arrival { presence, name, agents, capacity, offer } = &self.arrival;
        if presence.credential.is_some() {
            return Ok(Err(Dismissal::Unknown));
        }
        let binds = binds![
            presence.worker_id.as_str(),
            name.as_str(),
            agents_to(agents),
            *capacity,
            serde_json::to_string(offer).unwrap_or_default(),
            self.now,
            presence.connection.as_str(),
        ];
        tx.execute(INSERT, &binds).await?;
        let told = Told { id: &presence.worker_id, scope: &Scope::Global, name };
        told.post(tx, Point::WorkerOnline, self.now).await?;
        self.record(tx, "worker.join", None).await?;
        Ok(Ok(Eligibility::Eligible))
    }

    /// Tells the audit what the arrival has done to the worker's row.
    async fn record(
        &self,
        tx: &mut Tx<'_>,
        action: &'static str,
        before: Option<Decided>,
    ) -> Result<(), WriteError> {
        let (worker, at) = (&self.arrival.presence.worker_id, self.now);
        Done { action, worker, before, detail: None, at }.record(tx, &self.author).await
    }

    fn dismissal(&self, standing: &Standing) -> Option<Dismissal> {
        let Arrival { presence, agents, .. } = &self.arrival;
        standing.refuses(presence).or_else(|| standing.outside(agents))
    }

    async fn follow(
        &self,
        tx: &mut Tx<'_>,
        standing: &Standing,
    ) -> Result<Eligibility, WriteError> {
        let Arrival { presence, name, agents, capacity, offer } = &self.arrival;
        let by_key = presence.credential.is_none();
        let binds = binds![
            presence.worker_id.as_str(),
            name.as_str(),
            agents_to(agents),
            *capacity,
            serde_json::to_string(offer).unwrap_or_default(),
            self.now,
            presence.connection.as_str(),
            i64::from(by_key),
        ];
        let approves = by_key && standing.approval != Approval::Approved;
        let before = if approves { Decided::of(tx, &presence.worker_id).await? } else { None };
        tx.execute(ARRIVE, &binds).await?;
        if before.is_some() {
            self.record(tx, "worker.approve", before).await?;
        }
        if standing.is_gone() {
            let told = Told { id: &presence.worker_id, scope: &standing.scope, name };
            told.post(tx, Point::WorkerOnline, self.now).await?;
        }
        let approval = if by_key { Approval::Approved } else { standing.approval };
        Ok(Eligibility::of(approval, standing.admin_state, standing.draining))
    }
}

struct Hear {
    presence: Presence,
    changed: Changed,
    now: Time,
}

impl Write for Hear {
    type Output = Result<Eligibility, Dismissal>;
    const NAME: &'static str = "record_heartbeat";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Self::Output, WriteError> {
        let Presence { worker_id, connection, credential } = &self.presence;
        if let Some(dismissal) = self.outside(tx).await? {
            return Ok(Err(dismissal));
        }
        let (agents, capacity, offer) = self.changed.binds();
        let binds = binds![
            worker_id.as_str(),
            connection.as_str(),
            credential.as_ref().map(|hash| &hash[..]),
            self.now,
            capacity,
            offer.as_deref(),
            agents.as_deref(),
        ];
        if let Some(row) = tx.row(HEAR, &binds).await? {
            let r = Reader::new("workers", &row);
            let draining = r.flag("draining")? || r.flag("leaving")?;
            return Ok(Ok(Eligibility::of(r.text("approval")?, r.text("admin_state")?, draining)));
        }
        let Some(standing) = Standing::of(tx, worker_id).await? else {
            return Ok(Err(Dismissal::Unknown));
        };
        let eligibility = standing.of_connection(&self.presence);
        if eligibility.is_ok() {
            let binds = binds![worker_id.as_str(), self.now, capacity, offer, agents];
            tx.execute(REVIVE, &binds).await?;
            let told = Told { id: worker_id, scope: &standing.scope, name: &standing.name };
            told.post(tx, Point::WorkerOnline, self.now).await?;
        }
        Ok(eligibility)
    }
}

impl Hear {
    /// Why the worker may not serve the agents that it says it serves from now on.
    async fn outside(&self, tx: &mut Tx<'_>) -> Result<Option<Dismissal>, WriteError> {
        let Some(agents) = &self.changed.agents else { return Ok(None) };
        let standing = Standing::of(tx, &self.presence.worker_id).await?;
        Ok(standing.and_then(|standing| standing.outside(agents)))
    }
}

struct Leave(Presence);

impl Write for Leave {
    type Output = ();
    const NAME: &'static str = "begin_worker_shutdown";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let Presence { worker_id, connection, .. } = &self.0;
        tx.execute(LEAVE, &binds![worker_id.as_str(), connection.as_str()]).await?;
        Ok(())
    }
}

struct Depart {
    presence: Presence,
    now: Time,
}

impl Write for Depart {
    type Output = ();
    const NAME: &'static str = "disconnect_worker";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let Presence { worker_id, connection, .. } = &self.presence;
        let binds = binds![worker_id.as_str(), connection.as_str()];
        match tx.row(DEPART, &binds).await? {
            Some(_) => go_offline(tx, worker_id, self.now).await,
            None => Ok(()),
        }
    }
}

struct Sweep {
    now: Time,
    author: Arc<Author>,
}

impl Write for Sweep {
    type Output = usize;
    const NAME: &'static str = "detect_silent_workers";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<usize, WriteError> {
        let gone = tx.rows(FALL_SILENT, &binds![self.now - OFFLINE_AFTER]).await?;
        tell_offline(tx, &gone, self.now).await?;
        let whose = |row| Reader::new("workers", row).get::<String>("workspace_id");
        let whose = gone.iter().map(whose).collect::<Result<Vec<_>, _>>()?;
        audit::forced(tx, &self.author, "worker.offline", "worker", whose, self.now).await?;
        tx.execute(DEGRADE, &binds![self.now - DEGRADED_AFTER]).await?;
        Ok(gone.len())
    }
}

/// Notes that a worker is gone, if it was there.
pub(super) async fn go_offline(
    tx: &mut Tx<'_>,
    worker: &WorkerId,
    now: Time,
) -> Result<(), WriteError> {
    let gone = tx.rows(GO_OFFLINE, &binds![worker.as_str()]).await?;
    tell_offline(tx, &gone, now).await
}

async fn tell_offline(tx: &mut Tx<'_>, gone: &[Row], now: Time) -> Result<(), WriteError> {
    for row in gone {
        let r = Reader::new("workers", row);
        let (id, scope): (WorkerId, Scope) = (r.text("id")?, events::read_scope(&r)?);
        let told = Told { id: &id, scope: &scope, name: &r.get::<String>("name")? };
        told.post(tx, Point::WorkerOffline, now).await?;
    }
    Ok(())
}

/// Of whom a point is told.
struct Told<'w> {
    id: &'w WorkerId,
    scope: &'w Scope,
    name: &'w str,
}

impl Told<'_> {
    async fn post(&self, tx: &mut Tx<'_>, point: Point, at: Time) -> Result<(), WriteError> {
        let name = format!("{} {point} {}", self.id, at.as_millis());
        let notice = Notice {
            id: NoticeId::derive(&Scope::Global, &name),
            scope: self.scope.clone(),
            point,
            data: json!({ "id": self.id, "name": self.name }).to_string(),
            depth: 0,
            causes: Vec::new(),
            at,
        };
        notices::post_in(tx, &notice).await
    }
}
