//! Secrets and the references by which definitions name them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Where a secret is kept. Definitions, events and answers hold this, never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable of the host: `env:NAME`.
    Env(String),
    /// A file that the host can read: `file:PATH`.
    File(PathBuf),
    /// What is kept there without the blanks, line ends and marks around it: `trim:env:NAME`.
    Trimmed(Box<SecretRef>),
}

/// The text is not a reference to a secret.
#[derive(Debug, thiserror::Error)]
#[error(
    "a secret is named by `env:NAME` or `file:PATH`, or by `trim:` and one of these, never written \
     out"
)]
pub struct InvalidSecretRef;

impl FromStr for SecretRef {
    type Err = InvalidSecretRef;
    fn from_str(text: &str) -> Result<Self, InvalidSecretRef> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("trim", rest)) if !rest.starts_with("trim:") => {
                Ok(Self::Trimmed(Box::new(rest.parse()?)))
            }
            _ => Err(InvalidSecretRef),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Trimmed(rest) => write!(f, "trim:{rest}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A secret's value. It cannot be printed, serialised or compared by accident.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a value; an empty one is no secret.
    pub fn new(value: Vec<u8>) -> Option<Self> {
        (!value.is_empty()).then_some(Self(value))
    }

    /// The value, for computing with.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
