//! Controllers: which replica of the host has a pass in hand, and how the passes end.
//!
//! A pass is claimed, not a controller: whichever replica comes by first when one is due takes it,
//! and no other begins until it has ended or its lease has. A replica that is restarted takes over
//! what it held itself at once. A pass that began in the future began by a clock that was wrong: it
//! keeps nobody from the next one.

use super::sql::{Reader, Row, Tx, binds};
use super::write::{Write, WriteError};
use super::{Store, StoreError};
use crate::model::controller::{Controller, ControllerName, Holder, Pass};
use crate::model::id::ReplicaId;
use crate::model::time::{SKEW, Time};

/// A pass that a replica would begin.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Of which controller.
    pub name: ControllerName,
    /// Who would.
    pub replica: ReplicaId,
    /// Now, for that one.
    pub now: Time,
    /// When others may give it up for dead.
    pub until: Time,
    /// Whether it begins though none is due.
    pub at_once: bool,
}

/// What became of a [`Turn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// It has begun.
    Begun,
    /// There is none to begin before then.
    NotDue(Time),
    /// Somebody else is at it.
    Held(Holder),
}

macro_rules! select_controllers {
    ($rest:literal) => {
        concat!(
            "\
SELECT name AS id, name, holder, expires_at, next_at, ended_at, replica, result, error, items,
       passes, failures, worked_at, worked
  FROM controllers
",
            $rest
        )
    };
}

const BEGIN: &str = "\
INSERT INTO controllers (name, holder, began_at, expires_at, next_at)
VALUES ($1, $2, $3, $4, $3)
    ON CONFLICT (name) DO UPDATE
   SET holder = $2, began_at = $3, expires_at = $4
 WHERE (controllers.holder IS NULL OR controllers.holder = $2 OR controllers.expires_at <= $3
        OR controllers.began_at > $6)
   AND (controllers.next_at <= $3 OR controllers.began_at > $6 OR CAST($5 AS BIGINT) = 1)";

const SELECT_AHEAD: &str = "\
SELECT name AS id
  FROM controllers
 WHERE began_at > $1
 LIMIT 1";

const SELECT_ONE: &str = select_controllers!(" WHERE name = $1");

const SELECT_ALL: &str = select_controllers!(" ORDER BY name");

const END: &str = "\
UPDATE controllers
   SET holder = NULL, expires_at = NULL, next_at = $3, ended_at = $4, replica = $2, result = $5,
       error = $6, items = $7, passes = passes + 1, failures = failures + $8,
       worked_at = CASE WHEN $7 = '{}' THEN worked_at ELSE $4 END,
       worked = CASE WHEN $7 = '{}' THEN worked ELSE $7 END
 WHERE name = $1
   AND holder = $2";

const GIVE_UP: &str = "\
UPDATE controllers
   SET holder = NULL, expires_at = NULL
 WHERE name = $1
   AND holder = $2";

/// Begins a pass, if one is due and nobody is at it.
///
/// # Errors
/// When the store fails.
pub async fn begin(store: &Store, turn: Turn) -> Result<Begin, StoreError> {
    store.write(turn).await
}

/// Notes how a pass ended, and when the next one is due. False when it had been given up for dead,
/// and somebody else has taken over.
///
/// # Errors
/// When the store fails.
pub async fn end(
    store: &Store,
    name: ControllerName,
    pass: Pass,
    next_at: Time,
) -> Result<bool, StoreError> {
    store.write(End { name, pass, next_at }).await
}

/// Gives up a pass that has not ended: it is due as before.
///
/// # Errors
/// When the store fails; then its lease has to end.
pub async fn give_up(
    store: &Store,
    name: ControllerName,
    replica: ReplicaId,
) -> Result<(), StoreError> {
    store.write(GiveUp { name, replica }).await
}

/// Whether some pass began later than any right clock says it is.
///
/// # Errors
/// When the store fails.
pub async fn is_any_ahead(store: &Store, now: Time) -> Result<bool, StoreError> {
    let rows = store.read("detect_wrong_clock", SELECT_AHEAD, &binds![now + SKEW]).await?;
    Ok(!rows.is_empty())
}

/// Every controller that has had a pass.
///
/// # Errors
/// When the store fails.
pub async fn list(store: &Store) -> Result<Vec<Controller>, StoreError> {
    let rows = store.read("list_controllers", SELECT_ALL, &[]).await?;
    // One that a newer version has is not ours to show.
    let known =
        |row: &&Row| row.get::<String>("id").is_ok_and(|id| id.parse::<ControllerName>().is_ok());
    rows.iter().filter(known).map(read).collect()
}

impl Write for Turn {
    type Output = Begin;
    const NAME: &'static str = "begin_controller_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<Begin, WriteError> {
        let (name, replica) = (self.name.as_str(), self.replica.as_str());
        let soon = self.now + SKEW;
        let binds = binds![name, replica, self.now, self.until, self.at_once, soon];
        if tx.execute(BEGIN, &binds).await? > 0 {
            return Ok(Begin::Begun);
        }
        let row = tx.row(SELECT_ONE, &binds![name]).await?.ok_or(sqlx::Error::RowNotFound)?;
        let controller = read(&row)?;
        let rival = controller
            .holder
            .filter(|holder| holder.replica != self.replica && holder.until > self.now);
        Ok(rival.map_or(Begin::NotDue(controller.next_at), Begin::Held))
    }
}

struct End {
    name: ControllerName,
    pass: Pass,
    next_at: Time,
}

impl Write for End {
    type Output = bool;
    const NAME: &'static str = "end_controller_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<bool, WriteError> {
        let Pass { at, replica, result, error, items } = &self.pass;
        let items = serde_json::to_string(items).unwrap_or_default();
        let failures = u32::from(error.is_some());
        let binds = binds![
            self.name.as_str(),
            replica.as_str(),
            self.next_at,
            *at,
            result.as_str(),
            error.as_deref(),
            items,
            failures,
        ];
        Ok(tx.execute(END, &binds).await? > 0)
    }
}

struct GiveUp {
    name: ControllerName,
    replica: ReplicaId,
}

impl Write for GiveUp {
    type Output = ();
    const NAME: &'static str = "abandon_controller_run";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        tx.execute(GIVE_UP, &binds![self.name.as_str(), self.replica.as_str()]).await?;
        Ok(())
    }
}

fn read(row: &Row) -> Result<Controller, StoreError> {
    let r = Reader::new("controllers", row);
    let holder: Option<ReplicaId> = r.text_if_any("holder")?;
    let until = r.time_if_any("expires_at")?;
    let holder = holder.zip(until).map(|(replica, until)| Holder { replica, until });
    let last = match r.time_if_any("ended_at")? {
        Some(at) => Some(Pass {
            at,
            replica: r.text("replica")?,
            result: r.text("result")?,
            error: r.get("error")?,
            items: r.json("items")?,
        }),
        None => None,
    };
    let count = |column| r.parse(column, |n: i64| u64::try_from(n).ok());
    let worked = match r.time_if_any("worked_at")? {
        Some(at) => Some((at, r.json("worked")?)),
        None => None,
    };
    Ok(Controller {
        name: r.text("name")?,
        holder,
        worked,
        next_at: r.time("next_at")?,
        last,
        passes: count("passes")?,
        failures: count("failures")?,
    })
}
