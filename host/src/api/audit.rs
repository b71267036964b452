//! The audit: who has changed what, in pages or all of it as lines.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;

use super::Api;
use super::json::{InReach, Listing, Paging, ScopeJson};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::model::audit::{Digest, Place};
use crate::model::id::AuditId;
use crate::model::scope::Reach;
use crate::model::time::Time;
use crate::store::audit::{self, AuditFilter, Record};
use crate::store::{Store, StoreError};

/// How many rows an export reads at a time.
const PORTION: u32 = 500;
/// The longest actor, action or object that is looked for, in bytes.
const SOUGHT_BYTES_MAX: usize = 256;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new().route("/api/v1/audit", get(list)).route("/api/v1/audit/export", get(export))
}

#[derive(Debug)]
struct ListQuery {
    filter: AuditFilter,
    reach: InReach,
    paging: Paging,
}

#[derive(Debug)]
struct ExportQuery {
    filter: AuditFilter,
    reach: InReach,
}

#[derive(Debug, Serialize)]
struct RecordJson {
    id: AuditId,
    at: Time,
    #[serde(flatten)]
    scope: ScopeJson,
    actor: ActorJson,
    action: String,
    object: ObjectJson,
    /// Of the object's stored form; none where it has none, or is not there.
    before: Option<String>,
    after: Option<String>,
    detail: Option<Value>,
    from: PlaceJson,
}

#[derive(Debug, Serialize)]
struct ActorJson {
    kind: String,
    id: Option<String>,
}

#[derive(Debug, Serialize)]
struct ObjectJson {
    kind: String,
    id: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlaceJson {
    peer: Option<String>,
    request_id: Option<String>,
    user_agent: Option<String>,
}

async fn list(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<RecordJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let page = audit::list(&api.store, reach, &query.filter, page).await?;
    Ok(Json(Listing::page(page, RecordJson::from)))
}

/// All rows that there are when it begins, oldest first, an object a line.
async fn export(
    State(api): State<Arc<Api>>,
    Parameters(query): Parameters<ExportQuery>,
) -> Result<Response, Problem> {
    let (filter, reach) = (query.filter, query.reach.reach());
    let through = audit::newest(&api.store, reach.clone()).await?.unwrap_or(0);
    let export = Export { store: api.store.clone(), reach, filter, after: 0, through };
    let lines = stream::try_unfold(export, async |mut export| {
        Ok::<_, StoreError>(export.portion().await?.map(|lines| (lines, export)))
    });
    Ok(([(CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response())
}

/// An export under way. It holds no more than a portion, however slowly that is taken.
struct Export {
    store: Store,
    reach: Reach,
    filter: AuditFilter,
    after: i64,
    through: i64,
}

impl Export {
    async fn portion(&mut self) -> Result<Option<Bytes>, StoreError> {
        let range = (self.after, self.through);
        let reach = self.reach.clone();
        let rows = audit::forward(&self.store, reach, &self.filter, range, PORTION).await?;
        let Some((last, _)) = rows.last() else { return Ok(None) };
        self.after = *last;
        let mut lines = Vec::new();
        for (_, record) in rows {
            // Strings, numbers and tables can always be written.
            lines.extend(serde_json::to_vec(&RecordJson::from(record)).unwrap_or_default());
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        let filter = AuditFilter::read(given);
        Self { filter, reach: InReach::read(given), paging: Paging::read(given) }
    }
}

impl Query for ExportQuery {
    fn read(given: &mut Given) -> Self {
        Self { filter: AuditFilter::read(given), reach: InReach::read(given) }
    }
}

impl Query for AuditFilter {
    fn read(given: &mut Given) -> Self {
        let (since, until) = given.span("since", "until");
        Self {
            actor: given.parsed("actor", sought),
            action: given.parsed("action", action),
            object: given.parsed("object", sought),
            since,
            until,
        }
    }
}

/// A word to look for.
fn sought(text: &str) -> Result<String, String> {
    if text.len() > SOUGHT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("is not 1 to {SOUGHT_BYTES_MAX} printable characters"));
    }
    Ok(text.to_owned())
}

fn action(text: &str) -> Result<String, String> {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase());
    match sought(text)?.split_once('.') {
        Some((kind, verb)) if word(kind) && (verb == "*" || word(verb)) => Ok(text.to_owned()),
        _ => Err("is not an action such as task.create, nor a prefix such as task.*".to_owned()),
    }
}

impl From<Record> for RecordJson {
    fn from(record: Record) -> Self {
        let Place { peer, request_id, user_agent } = record.place;
        let digest = |digest: Digest| digest.to_string();
        Self {
            id: record.id,
            at: record.at,
            scope: ScopeJson::from(&record.scope),
            actor: ActorJson { kind: record.actor_kind, id: record.actor_id },
            action: record.action,
            object: ObjectJson {
                kind: record.object_kind,
                id: record.object_id,
                name: record.object_name,
            },
            before: record.before.map(digest),
            after: record.after.map(digest),
            detail: record.detail,
            from: PlaceJson { peer, request_id, user_agent },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_two_words_or_all_below_one() {
        for good in ["task.create", "definition.update", "task.*"] {
            assert_eq!(action(good).as_deref(), Ok(good));
        }
        for bad in ["task", "task.", ".create", "*", "*.create", "task.c%", "Task.create", "a.b.c"]
        {
            assert!(action(bad).is_err(), "{bad}");
        }
    }
}
