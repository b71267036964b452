//! Sessions, as they are looked at.

use super::super::sql::{Reader, Row, binds};
use super::super::{Page, PageRequest, Store, StoreError, events};
use crate::model::id::SessionId;
use crate::model::name::Name;
use crate::model::scope::{Reach, Scope};
use crate::model::session::{Session, SessionKey, SessionLease, SessionState};

/// Which sessions to list.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// In this state only.
    pub state: Option<SessionState>,
    /// Of this agent only.
    pub agent: Option<Name>,
}

/// A query of sessions.
macro_rules! select_sessions {
    ($rest:expr) => {
        concat!(
            "\
SELECT seq, id, workspace_id, key, agent, state, state_at, lease_worker_id, lease_command_id,
       lease_expires_at, last_run_id, created_at
  FROM sessions
",
            $rest
        )
    };
}

const SELECT_BY_ID: &str = select_sessions!(
    " WHERE id = $1
   AND workspace_id = $2"
);

const SELECT_BY_KEY: &str = select_sessions!(
    " WHERE workspace_id = $1
   AND key = $2"
);

/// A page of them. An unused filter is bound as NULL, in a form whose type both databases know.
macro_rules! select_page {
    ($scope:literal) => {
        select_sessions!(concat!(
            " WHERE ",
            $scope,
            "
   AND seq < $2
   AND state = coalesce($3, state)
   AND agent = coalesce($4, agent)
 ORDER BY seq DESC
 LIMIT $5"
        ))
    };
}

const SELECT_PAGE: &str = select_page!("workspace_id = $1");
const SELECT_PAGE_OF_ALL: &str = select_page!("CAST($1 AS TEXT) IS NULL");

/// The session with this identifier.
///
/// # Errors
/// When the store fails.
pub async fn find(
    store: &Store,
    scope: &Scope,
    id: &SessionId,
) -> Result<Option<Session>, StoreError> {
    let binds = binds![id.as_str(), scope.workspace_id()];
    let rows = store.read("read_session", SELECT_BY_ID, &binds).await?;
    rows.first().map(read).transpose()
}

/// The session that its users call this.
///
/// # Errors
/// When the store fails.
pub async fn find_by_key(
    store: &Store,
    scope: &Scope,
    key: &SessionKey,
) -> Result<Option<Session>, StoreError> {
    let binds = binds![scope.workspace_id(), key.as_str()];
    let rows = store.read("read_session", SELECT_BY_KEY, &binds).await?;
    rows.first().map(read).transpose()
}

/// Sessions, the latest begun first.
///
/// # Errors
/// When the store fails.
pub async fn list(
    store: &Store,
    reach: impl Into<Reach>,
    filter: &SessionFilter,
    page: PageRequest,
) -> Result<Page<Session>, StoreError> {
    let reach = reach.into();
    let binds = binds![
        reach.workspace_id(),
        page.before(),
        filter.state.map(SessionState::as_str),
        filter.agent.as_ref().map(Name::as_str),
        page.fetch(),
    ];
    let sql = reach.pick(SELECT_PAGE, SELECT_PAGE_OF_ALL);
    let rows = store.read("list_sessions", sql, &binds).await?;
    Page::read("sessions", &rows, page, read)
}

fn read(row: &Row) -> Result<Session, StoreError> {
    let r = Reader::new("sessions", row);
    Ok(Session {
        id: r.text("id")?,
        scope: events::read_scope(&r)?,
        key: r.text("key")?,
        agent: r.text("agent")?,
        state: r.text("state")?,
        state_at: r.time("state_at")?,
        lease: read_lease(&r)?,
        last_run_id: r.text_if_any("last_run_id")?,
        created_at: r.time("created_at")?,
    })
}

fn read_lease(r: &Reader<'_>) -> Result<Option<SessionLease>, StoreError> {
    let Some(worker_id) = r.text_if_any("lease_worker_id")? else { return Ok(None) };
    Ok(Some(SessionLease {
        worker_id,
        command_id: r.text("lease_command_id")?,
        expires_at: r.time("lease_expires_at")?,
    }))
}
