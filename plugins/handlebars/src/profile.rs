//! The names that the profile knows.

/// What an envelope holds at its top.
pub(crate) const FIELDS: [&str; 9] = [
    "id",
    "kind",
    "scope",
    "workspace_id",
    "source",
    "occurred_at",
    "received_at",
    "depth",
    "data",
];

/// The blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Block {
    If,
    Unless,
    Each,
    With,
}

impl Block {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "if" => Self::If,
            "unless" => Self::Unless,
            "each" => Self::Each,
            "with" => Self::With,
            _ => return None,
        })
    }
}

/// The helpers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Helper {
    Json,
    Default,
    Truncate,
    Join,
    Lookup,
    Fence,
}

impl Helper {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "default" => Self::Default,
            "truncate" => Self::Truncate,
            "join" => Self::Join,
            "lookup" => Self::Lookup,
            "fence" => Self::Fence,
            _ => return None,
        })
    }

    /// What the helper looks like in use.
    pub(crate) fn usage(self) -> &'static str {
        match self {
            Self::Json => "{{json field}}",
            Self::Default => "{{default field \"text\"}}",
            Self::Truncate => "{{truncate field 200}}",
            Self::Join => "{{join field \", \"}}",
            Self::Lookup => "{{lookup field key}}",
            Self::Fence => "{{fence field}}",
        }
    }

    pub(crate) fn arguments(self) -> usize {
        match self {
            Self::Json | Self::Fence => 1,
            Self::Default | Self::Truncate | Self::Join | Self::Lookup => 2,
        }
    }
}

/// The helpers as a message lists them.
pub(crate) const HELPERS: &str = "json, default, truncate, join, lookup and fence";
