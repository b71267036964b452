//! The shapes that the resources share on the wire.

use serde::Serialize;

use super::parameters::{Given, Query};
use crate::model::scope::{Reach, Scope};
use crate::store::{Page, PageRequest};

/// How many rows a page has unless the client says otherwise.
const LIMIT: u32 = 50;
/// What stands for every scope, in listings.
const EVERYWHERE: &str = "*";

/// Whose things are meant. What belongs to the whole host takes it, too, and is the same for all.
#[derive(Debug)]
pub(super) struct InScope(Scope);

impl InScope {
    pub(super) fn scope(&self) -> Scope {
        self.0.clone()
    }
}

impl Query for InScope {
    fn read(given: &mut Given) -> Self {
        Self(given.parsed("workspace", Scope::parse).unwrap_or(Scope::Global))
    }
}

/// Whose things are listed: every scope's, where that is asked for. Whoever has a key may see all of
/// them.
#[derive(Debug)]
pub(super) struct InReach(Reach);

impl InReach {
    pub(super) fn reach(&self) -> Reach {
        self.0.clone()
    }
}

impl Query for InReach {
    fn read(given: &mut Given) -> Self {
        let reach = given.parsed("workspace", |text| match text {
            EVERYWHERE => Ok(Reach::All),
            text => Scope::parse(text).map(Reach::One),
        });
        Self(reach.unwrap_or(Reach::One(Scope::Global)))
    }
}

/// Which page of a listing is meant.
#[derive(Debug)]
pub(super) struct Paging(PageRequest);

impl Paging {
    pub(super) fn request(&self) -> PageRequest {
        self.0
    }
}

impl Query for Paging {
    fn read(given: &mut Given) -> Self {
        let limit = given.count("limit", 1..=PageRequest::LIMIT_MAX).unwrap_or(LIMIT);
        let page = given.parsed("cursor", |cursor| PageRequest::new(limit, Some(cursor)));
        Self(page.unwrap_or_else(|| PageRequest::first(limit)))
    }
}

/// A page of a listing.
#[derive(Debug, Serialize)]
pub(super) struct Listing<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Listing<T> {
    pub(super) fn page<R>(page: Page<R>, row: impl Fn(R) -> T) -> Self {
        let items = page.items.into_iter().map(row).collect();
        Self { items, next_cursor: page.next_cursor }
    }
}

/// The fields of a scope, or of the whole host, to be flattened into what has one.
#[derive(Debug, Serialize)]
pub(super) struct ScopeJson {
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<String>,
}

impl From<&Scope> for ScopeJson {
    fn from(scope: &Scope) -> Self {
        let workspace_id = (*scope != Scope::Global).then(|| scope.workspace_id().to_owned());
        Self { scope: scope.word(), workspace_id }
    }
}

impl From<&Reach> for ScopeJson {
    fn from(reach: &Reach) -> Self {
        match reach {
            Reach::One(scope) => Self::from(scope),
            Reach::All => Self { scope: "host", workspace_id: None },
        }
    }
}
