//! The shapes that the resources share on the wire.

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::model::scope::{Reach, Scope};
use crate::store::{Page, PageRequest};

/// How many rows a page has unless the client says otherwise.
const LIMIT: u32 = 50;

/// Whose things are meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct InScope {
    #[serde(default)]
    workspace: String,
}

/// What stands for every scope, in listings.
const EVERYWHERE: &str = "*";

impl InScope {
    /// The same of a listing: every scope's, where that is asked for. Whoever has a key may see all
    /// of them.
    pub(super) fn reach(&self) -> Result<Reach, Problem> {
        if self.workspace == EVERYWHERE {
            return Ok(Reach::All);
        }
        self.scope().map(Reach::One)
    }

    pub(super) fn scope(&self) -> Result<Scope, Problem> {
        Scope::parse(&self.workspace).map_err(|reason| Problem::parameter("workspace", reason))
    }
}

/// Which page of a listing is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Paging {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Paging {
    pub(super) fn request(&self) -> Result<PageRequest, Problem> {
        let limit = optional("limit", self.limit.as_deref())?.unwrap_or(LIMIT);
        PageRequest::new(limit, self.cursor.as_deref())
            .map_err(|reason| Problem::parameter("cursor", reason))
    }
}

/// A parameter as a domain type; an empty one is none.
pub(super) fn optional<T>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|reason| Problem::parameter(name, reason))).transpose()
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

/// A scope's fields, to be flattened into what has one.
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
