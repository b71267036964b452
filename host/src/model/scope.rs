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

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
        }
    }
}
