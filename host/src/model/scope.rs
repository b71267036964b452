//! Scopes: the visibility boundary. A row of another workspace does not exist.

use std::fmt;

use super::name::{InvalidName, Name};

/// Where a definition, an event or a run belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The host itself; no workspace.
    #[default]
    Global,
    /// One workspace.
    Workspace(Name),
}

impl Scope {
    /// The scope of a workspace identifier, where the empty one is global.
    ///
    /// # Errors
    /// When the identifier is neither empty nor a [`Name`].
    pub fn parse(workspace_id: &str) -> Result<Self, InvalidName> {
        if workspace_id.is_empty() {
            return Ok(Self::Global);
        }
        workspace_id.parse().map(Self::Workspace)
    }

    /// The workspace's identifier, empty for the global scope.
    pub fn workspace_id(&self) -> &str {
        match self {
            Self::Global => "",
            Self::Workspace(name) => name.as_str(),
        }
    }

    /// `global` or `workspace`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Workspace(_) => "workspace",
        }
    }
}

/// Which scopes a listing looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This one.
    One(Scope),
    /// The global one and every workspace.
    All,
}

impl Reach {
    /// The workspace's identifier, if it is one scope.
    pub fn workspace_id(&self) -> Option<&str> {
        match self {
            Self::One(scope) => Some(scope.workspace_id()),
            Self::All => None,
        }
    }

    /// What is for one scope, or what is for all.
    pub fn pick<T>(&self, one: T, all: T) -> T {
        match self {
            Self::One(_) => one,
            Self::All => all,
        }
    }
}

impl From<&Scope> for Reach {
    fn from(scope: &Scope) -> Self {
        Self::One(scope.clone())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
        }
    }
}
