//! Agents, endpoints, triggers, jobs, hooks, observers and extensions: one set of handlers for all
//! kinds of definition.
//!
//! A definition's body is the same table as in `hillock.toml`. What configuration or a package has
//! defined can be switched on and off, and is otherwise theirs.

mod conditions;
mod shape;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use self::conditions::IfMatch;
use self::shape::DefinitionJson;
use super::Api;
use super::author::AuditedStore;
use super::extract::{Body, Segment};
use super::json::{InReach, InScope, Listing, Paging};
use super::parameters::{Given, Parameters, Query};
use super::problem::Problem;
use crate::config::definitions::Declared;
use crate::model::definition::{DefinitionKind, DefinitionSource};
use crate::model::merge_patch;
use crate::model::problem::Problems;
use crate::model::scope::Scope;
use crate::model::time::Time;
use crate::store::Store;
use crate::store::definitions::{self, Change, DefinitionFilter, Refusal, Stored};
use crate::store::runs;

/// How often a change is tried that others come before.
const TRIES_MAX: u32 = 4;

/// The routes of every kind.
pub(super) fn routes() -> Router<Arc<Api>> {
    let of_kind = |(kind, _, plural): &(DefinitionKind, &str, &str)| {
        let one = format!("/api/v1/{plural}/{{id}}");
        let switches = Router::new()
            .route(&format!("{one}/enable"), post(enable))
            .route(&format!("{one}/disable"), post(disable));
        Router::new()
            .route(&format!("/api/v1/{plural}"), get(list).post(create))
            .route(&one, get(show).patch(patch).delete(delete))
            // An agent is neither on nor off.
            .merge(if *kind == DefinitionKind::Agent { Router::new() } else { switches })
            .layer(Extension(*kind))
    };
    DefinitionKind::ALL.iter().map(of_kind).fold(Router::new(), Router::merge)
}

#[derive(Debug)]
struct ListQuery {
    filter: DefinitionFilter,
    reach: InReach,
    paging: Paging,
}

impl Query for ListQuery {
    fn read(given: &mut Given) -> Self {
        Self {
            filter: DefinitionFilter {
                source: given.word("source"),
                enabled: given.flag("enabled"),
                agent: given.word("agent"),
                // Of triggers: a kind, or a prefix such as `github.*`.
                event: given.word("event"),
            },
            reach: InReach::read(given),
            paging: Paging::read(given),
        }
    }
}

async fn list(
    State(api): State<Arc<Api>>,
    Extension(kind): Extension<DefinitionKind>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<Listing<DefinitionJson>>, Problem> {
    let (reach, page) = (query.reach.reach(), query.paging.request());
    let page = definitions::list(&api.store, kind, reach, &query.filter, page).await?;
    let fired = fired(&api, kind, &page.items).await?;
    Ok(Json(Listing::page(page, |stored| {
        let fired = fired.get(&stored.id).copied();
        DefinitionJson::new(stored, &api.registrar).fired(fired)
    })))
}

async fn show(
    State(api): State<Arc<Api>>,
    Extension(kind): Extension<DefinitionKind>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
) -> Result<Response, Problem> {
    let found = find(&api, kind, &scope.scope(), &id).await?;
    let fired = fired(&api, kind, std::slice::from_ref(&found)).await?.into_values().next();
    Ok(respond(&api, StatusCode::OK, found, fired))
}

/// When each of them has last fired, of what fires.
async fn fired(
    api: &Api,
    kind: DefinitionKind,
    listed: &[Stored],
) -> Result<HashMap<String, Time>, Problem> {
    if !matches!(kind, DefinitionKind::Trigger | DefinitionKind::Job) {
        return Ok(HashMap::new());
    }
    let ids: Vec<&str> = listed.iter().map(|stored| stored.id.as_str()).collect();
    Ok(runs::last_fired(&api.store, &ids).await?)
}

async fn create(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(kind): Extension<DefinitionKind>,
    Parameters(scope): Parameters<InScope>,
    Body(spec): Body,
) -> Result<Response, Problem> {
    let spec = placed(kind, &scope.scope(), spec).map_err(|problems| invalid(kind, &problems))?;
    let id = api.clock.definition_id(kind);
    let declared = read(&api, kind, &id, spec).await?;
    let created = definitions::create(&store, id, declared, api.clock.now()).await?;
    let stored = created.map_err(|refusal| refused(kind, refusal))?;
    take_effect(&api).await;
    let location = shape::location(&stored);
    let mut answer = answer(&api, StatusCode::CREATED, stored);
    if let Ok(location) = location.parse() {
        answer.headers_mut().insert(LOCATION, location);
    }
    Ok(answer)
}

async fn patch(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(kind): Extension<DefinitionKind>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    Body(patch): Body,
) -> Result<Response, Problem> {
    let meant = Meant { kind, scope: scope.scope(), id, if_match: IfMatch::read(&headers)? };
    fulfil(&api, &store, meant, Wish::Patch(patch)).await
}

async fn delete(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(kind): Extension<DefinitionKind>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let meant = Meant { kind, scope: scope.scope(), id, if_match: IfMatch::read(&headers)? };
    fulfil(&api, &store, meant, Wish::Delete).await
}

async fn enable(
    api: State<Arc<Api>>,
    acting: AuditedStore,
    kind: Extension<DefinitionKind>,
    id: Segment,
    scope: Parameters<InScope>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    switch(api, acting, kind, id, scope, headers, true).await
}

async fn disable(
    api: State<Arc<Api>>,
    acting: AuditedStore,
    kind: Extension<DefinitionKind>,
    id: Segment,
    scope: Parameters<InScope>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    switch(api, acting, kind, id, scope, headers, false).await
}

async fn switch(
    State(api): State<Arc<Api>>,
    AuditedStore(store): AuditedStore,
    Extension(kind): Extension<DefinitionKind>,
    Segment(id): Segment,
    Parameters(scope): Parameters<InScope>,
    headers: HeaderMap,
    enabled: bool,
) -> Result<Response, Problem> {
    let meant = Meant { kind, scope: scope.scope(), id, if_match: IfMatch::read(&headers)? };
    fulfil(&api, &store, meant, Wish::Switch(enabled)).await
}

/// Which definition a client means, in which state.
struct Meant {
    kind: DefinitionKind,
    scope: Scope,
    id: String,
    if_match: IfMatch,
}

/// What a client wants of a definition.
enum Wish {
    Patch(Value),
    Delete,
    Switch(bool),
}

/// Changes a definition as it is found, again when somebody else has changed it meanwhile and the
/// client has not said which revision it means; then brings the change into effect.
async fn fulfil(api: &Api, store: &Store, meant: Meant, wish: Wish) -> Result<Response, Problem> {
    for _ in 0..TRIES_MAX {
        let found = find(api, meant.kind, &meant.scope, &meant.id).await?;
        if !meant.if_match.allows(found.revision) {
            return Err(conditions::stale(found.revision));
        }
        match attempt(api, store, &found, &wish).await? {
            Ok(stored) => {
                take_effect(api).await;
                return Ok(match stored {
                    Some(stored) => answer(api, StatusCode::OK, stored),
                    None => StatusCode::NO_CONTENT.into_response(),
                });
            }
            Err(Refusal::Stale(_)) => {}
            Err(refusal) => return Err(refused(meant.kind, refusal)),
        }
    }
    let title = "others kept changing the definition";
    Err(Problem::new(StatusCode::CONFLICT, "contended", title))
}

/// Brings a change into effect that is in the store already: should that fail, it is done within a
/// second.
async fn take_effect(api: &Api) {
    if let Err(error) = api.registrar.refresh().await {
        tracing::warn!(%error, "definition change is stored but not yet in effect");
    }
}

/// What becomes of the definition; none when it is no more.
async fn attempt(
    api: &Api,
    store: &Store,
    found: &Stored,
    wish: &Wish,
) -> Result<Result<Option<Stored>, Refusal>, Problem> {
    let change = Change {
        id: found.id.clone(),
        scope: found.scope.clone(),
        revision: found.revision,
        now: api.clock.now(),
    };
    let is_ours = found.source == DefinitionSource::Dynamic;
    Ok(match wish {
        Wish::Switch(enabled) => definitions::set_enabled(store, change, *enabled).await?.map(Some),
        Wish::Delete if is_ours => definitions::delete(store, change).await?.map(|()| None),
        Wish::Patch(patch) if is_ours => {
            let declared = patched(api, found, patch).await?;
            definitions::update(store, change, declared).await?.map(Some)
        }
        Wish::Patch(patch) => {
            // An agent is neither on nor off.
            let switch = switch_of(patch).filter(|_| found.kind != DefinitionKind::Agent);
            let enabled = switch.ok_or_else(|| read_only(api, found))?;
            definitions::set_enabled(store, change, enabled).await?.map(Some)
        }
        Wish::Delete => return Err(read_only(api, found)),
    })
}

async fn patched(api: &Api, found: &Stored, patch: &Value) -> Result<Declared, Problem> {
    let mut spec = found.spec.clone();
    merge_patch::apply(&mut spec, patch);
    let declared = read(api, found.kind, &found.id, spec).await?;
    if *declared.scope() != found.scope {
        let mut problems = Problems::default();
        let path = format!("{}.workspace", found.kind);
        problems.add(path, "cannot change: make another definition");
        return Err(invalid(found.kind, &problems));
    }
    Ok(declared)
}

async fn find(api: &Api, kind: DefinitionKind, scope: &Scope, id: &str) -> Result<Stored, Problem> {
    let found = definitions::find(&api.store, kind, scope, id).await?;
    found.ok_or_else(|| Problem::not_found(kind.as_str()))
}

async fn read(api: &Api, kind: DefinitionKind, id: &str, spec: Value) -> Result<Declared, Problem> {
    let read = api.registrar.read(kind, id, spec).await?;
    read.map_err(|problems| invalid(kind, &problems))
}

/// The spec in the request's workspace, if it does not say another.
fn placed(kind: DefinitionKind, scope: &Scope, spec: Value) -> Result<Value, Problems> {
    let Value::Object(mut table) = spec else { return Ok(spec) };
    table.retain(|_, value| !value.is_null());
    match table.get("workspace") {
        None if *scope == Scope::Global => {}
        None => {
            table.insert("workspace".to_owned(), scope.workspace_id().into());
        }
        Some(_) if *scope == Scope::Global => {}
        Some(said) if said.as_str() == Some(scope.workspace_id()) => {}
        Some(_) => {
            let mut problems = Problems::default();
            problems.add(format!("{kind}.workspace"), format!("is not the request's, {scope}"));
            return Err(problems);
        }
    }
    Ok(Value::Object(table))
}

/// What a patch that says nothing else says of `enabled`.
fn switch_of(patch: &Value) -> Option<bool> {
    let table = patch.as_object().filter(|table| table.len() == 1)?;
    table.get("enabled")?.as_bool()
}

fn answer(api: &Api, status: StatusCode, stored: Stored) -> Response {
    respond(api, status, stored, None)
}

fn respond(api: &Api, status: StatusCode, stored: Stored, fired: Option<Time>) -> Response {
    let etag = conditions::etag(stored.revision);
    let warnings = api.registrar.doubts(stored.kind, &stored.id, &stored.spec);
    let json = DefinitionJson::new(stored, &api.registrar).with_warnings(&warnings).fired(fired);
    (status, [(ETAG, etag)], Json(json)).into_response()
}

fn invalid(kind: DefinitionKind, problems: &Problems) -> Problem {
    let title = "the definition is not valid";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_definition", title)
        .detail(format!("this {kind} cannot be"))
        .at(problems)
}

fn read_only(api: &Api, stored: &Stored) -> Problem {
    let title = "the definition can only be switched on and off here";
    let place = match (stored.source, api.registrar.place(&stored.id)) {
        (DefinitionSource::Config, Some(place)) => {
            format!("it is defined in {}, {place}", api.registrar.folder().display())
        }
        (source, _) => format!("its source is {}", source.as_str()),
    };
    Problem::new(StatusCode::CONFLICT, "read_only", title).detail(place)
}

fn refused(kind: DefinitionKind, refusal: Refusal) -> Problem {
    let conflict = |code, title| Problem::new(StatusCode::CONFLICT, code, title);
    match refusal {
        Refusal::Missing => Problem::not_found(kind.as_str()),
        Refusal::Stale(revision) => conditions::stale(revision),
        Refusal::ReadOnly(source) => {
            let title = "the definition can only be switched on and off here";
            conflict("read_only", title).detail(format!("its source is {}", source.as_str()))
        }
        Refusal::Taken(problems) => conflict("taken", "another has it already").at(&problems),
        Refusal::Unresolved(problems) => invalid(kind, &problems),
        Refusal::InUse(dependants) => {
            let names: Vec<String> = dependants.iter().map(ToString::to_string).collect();
            conflict("in_use", "others name it").detail(format!("named by {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_placed_in_the_workspace_of_its_request() {
        let check = |request: &str, spec: Value, wanted: Option<Value>| {
            let scope = Scope::parse(request).unwrap();
            assert_eq!(placed(DefinitionKind::Job, &scope, spec).ok(), wanted);
        };
        check("", json!({ "name": "a" }), Some(json!({ "name": "a" })));
        check("", json!({ "workspace": "acme" }), Some(json!({ "workspace": "acme" })));
        check("acme", json!({}), Some(json!({ "workspace": "acme" })));
        check("acme", json!({ "workspace": null }), Some(json!({ "workspace": "acme" })));
        check("acme", json!({ "workspace": "acme" }), Some(json!({ "workspace": "acme" })));
        check("acme", json!({ "workspace": "umbrella" }), None);
        check("acme", json!({ "workspace": "" }), None);
        check("acme", json!([1]), Some(json!([1])));
    }

    #[test]
    fn only_a_patch_of_enabled_alone_is_a_switch() {
        assert_eq!(switch_of(&json!({ "enabled": false })), Some(false));
        for other in [json!({ "enabled": 1 }), json!({ "enabled": true, "agent": "a" }), json!(1)] {
            assert_eq!(switch_of(&other), None);
        }
    }
}
