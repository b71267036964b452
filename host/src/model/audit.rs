//! Who changes something, from where, and what an object is told by before and after.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::id::{KeyId, WorkerId};
use super::json;
use super::words::words;

words! {
    /// What kind of actor somebody is.
    ActorKind ("a kind of actor") {
        /// Whoever has an API key.
        Key = "key",
        /// A worker, by its own credential.
        Worker = "worker",
        /// A loop that puts stored state right.
        Controller = "controller",
        /// What files define, taken at a start or when they are read again.
        Config = "config",
        /// The host itself, or whoever has its machine.
        Host = "host",
    }
}

/// Who changes something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Actor {
    /// Whoever has this API key.
    Key(KeyId),
    /// This worker.
    Worker(WorkerId),
    /// The controller of this name.
    Controller(&'static str),
    /// What files define.
    Config,
    /// The host itself, or whoever has its machine.
    #[default]
    Host,
}

impl Actor {
    /// What kind it is.
    pub fn kind(&self) -> ActorKind {
        match self {
            Self::Key(_) => ActorKind::Key,
            Self::Worker(_) => ActorKind::Worker,
            Self::Controller(_) => ActorKind::Controller,
            Self::Config => ActorKind::Config,
            Self::Host => ActorKind::Host,
        }
    }

    /// Who, for people, where it is somebody else than the host: ` by key key_…`.
    pub fn by(&self) -> String {
        let kind = self.kind();
        self.id().map_or_else(String::new, |id| format!(" by {kind} {id}"))
    }

    /// Which of its kind.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Key(id) => Some(id.as_str()),
            Self::Worker(id) => Some(id.as_str()),
            Self::Controller(name) => Some(name),
            Self::Config | Self::Host => None,
        }
    }
}

/// Where a request came from, as far as it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The address at the other end of the connection.
    pub peer: Option<String>,
    /// The request's own identifier.
    pub request_id: Option<String>,
    /// The program that speaks.
    pub user_agent: Option<String>,
}

/// Who changes something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub place: Place,
}

impl Author {
    /// The controller of this name.
    pub fn controller(name: &'static str) -> Self {
        Self { actor: Actor::Controller(name), place: Place::default() }
    }
}

/// The SHA-256 of an object's stored form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of an object that is stored as this says, whatever the order of its keys: equal
    /// forms have equal digests.
    pub fn of(form: &Value) -> Self {
        Self(Sha256::digest(json::sorted(form.clone()).to_string()).into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for Digest {
    type Error = Vec<u8>;
    fn try_from(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_forms_have_equal_digests() {
        let digest = Digest::of(&json!({ "a": 1, "b": [null] }));
        assert_eq!(digest, Digest::of(&json!({ "b": [null], "a": 1 })));
        assert_ne!(digest, Digest::of(&json!({ "a": 1, "b": [] })));
        let text = digest.to_string();
        assert!(text.starts_with("sha256:") && text.len() == 71, "{text}");
        assert_eq!(Digest::try_from(digest.as_bytes().to_vec()), Ok(digest));
        assert!(Digest::try_from(vec![1]).is_err());
    }
}
