//! Names, slugs and event kinds: the words that users give to things.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name, slug or kind segment, in bytes.
const LENGTH_MAX: usize = 64;
/// The longest kind, in bytes.
const KIND_MAX: usize = 128;

/// The text is not a name, slug, kind or kind pattern; says what one is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct InvalidName {
    text: String,
    what: &'static str,
    rule: &'static str,
}

fn invalid(text: &str, what: &'static str, rule: &'static str) -> InvalidName {
    let text = text.chars().take(LENGTH_MAX).collect();
    InvalidName { text, what, rule }
}

fn lower(c: u8) -> bool {
    c.is_ascii_digit() || c.is_ascii_lowercase()
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=LENGTH_MAX).contains(&bytes.len())
        && lower(bytes[0])
        && bytes.iter().all(|&c| lower(c) || matches!(c, b'-' | b'_' | b'.'))
}

fn is_slug(text: &str) -> bool {
    is_name(text) && !text.contains('.') && !text.contains("--")
}

fn is_kind(text: &str) -> bool {
    let segment =
        |s: &str| !s.is_empty() && s.bytes().all(|c| lower(c) || matches!(c, b'-' | b'_'));
    text.len() <= KIND_MAX && text.split('.').all(segment)
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $valid:expr, $pattern:literal, $what:literal, $rule:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The word as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if $valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(invalid(text, $what, $rule))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

words! {
    /// The name of a definition, a workspace or a component.
    Name: is_name, "^[a-z0-9][a-z0-9._-]{0,63}$", "name",
        "1 to 64 of a-z 0-9 - _ . that start with a letter or digit";
    /// The part of a webhook's URL that names its endpoint.
    Slug: is_slug, "^[a-z0-9](-?[a-z0-9_])*-?$", "slug",
        "1 to 64 of a-z 0-9 - _ without `--` that start with a letter or digit";
    /// An event's kind: dotted lower case.
    Kind: is_kind, "^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$", "kind",
        "dotted segments of a-z 0-9 - _, at most 128 characters, such as `github.push`";
}

/// What a trigger listens to: one kind, or every kind below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindPattern {
    /// This kind.
    Exact(Kind),
    /// Every kind below this one, written `prefix.*`.
    Below(Kind),
}

impl KindPattern {
    /// Whether an event of `kind` is meant.
    pub fn matches(&self, kind: &Kind) -> bool {
        match self {
            Self::Exact(wanted) => wanted == kind,
            Self::Below(prefix) => kind
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.')),
        }
    }
}

impl KindPattern {
    /// What one may listen to in order to hear of all that this means: itself, and every prefix of
    /// it.
    pub fn and_above(&self) -> Vec<Self> {
        let (Self::Exact(kind) | Self::Below(kind)) = self;
        let dots = kind.as_str().match_indices('.').map(|(place, _)| &kind.as_str()[..place]);
        let above = dots.filter_map(|prefix| prefix.parse().map(Self::Below).ok());
        std::iter::once(self.clone()).chain(above).collect()
    }
}

impl FromStr for KindPattern {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rule = "a kind such as `github.push`, or a prefix such as `github.*`";
        let parsed = match text.strip_suffix(".*") {
            Some(prefix) => prefix.parse().map(Self::Below),
            None => text.parse().map(Self::Exact),
        };
        parsed.map_err(|_| invalid(text, "kind or kind prefix", rule))
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(kind) => write!(f, "{kind}"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_slugs_and_kinds_hold_to_their_alphabets() {
        let long = "a".repeat(65);
        for (text, name, slug, kind) in [
            ("triage", true, true, true),
            ("7-up_x", true, true, true),
            ("a.b", true, false, true),
            ("a--b", true, false, true),
            ("-a", false, false, true),
            ("a..b", true, false, false),
            (".a", false, false, false),
            ("", false, false, false),
            ("Upper", false, false, false),
            ("a b", false, false, false),
            ("é", false, false, false),
            (&long, false, false, true),
        ] {
            assert_eq!(text.parse::<Name>().is_ok(), name, "name {text}");
            assert_eq!(text.parse::<Slug>().is_ok(), slug, "slug {text}");
            assert_eq!(text.parse::<Kind>().is_ok(), kind, "kind {text}");
        }
    }

    #[test]
    fn a_pattern_is_a_kind_or_a_prefix_of_whole_segments() {
        let matches = |pattern: &str, kind: &str| {
            pattern.parse::<KindPattern>().unwrap().matches(&kind.parse().unwrap())
        };
        assert!(matches("github.issues", "github.issues"));
        assert!(!matches("github.issues", "github.issues.x"));
        assert!(matches("github.*", "github.issues"));
        assert!(!matches("github.*", "github"));
        assert!(!matches("git.*", "github.issues"));
        let above = |pattern: &str| {
            let above = pattern.parse::<KindPattern>().unwrap().and_above();
            above.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(above("a.b.c"), ["a.b.c", "a.*", "a.b.*"]);
        assert_eq!(above("a.b.*"), ["a.b.*", "a.*"]);
        assert_eq!(above("a"), ["a"]);
        for bad in ["*", ".*", "git*", "github.*.x", ""] {
            assert!(bad.parse::<KindPattern>().is_err(), "{bad}");
        }
    }
}
