//! Content: whose words a prompt holds.
//!
//! What stands below `data` in an envelope is the sender's word and untrusted; all else is the
//! host's. A sender's words may be instructions, and an agent that reads them as part of its prompt
//! may follow them. A fence around them says where they begin and end.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a prompt holds of its event's `data`, from the best to the worst.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// None of it.
    #[default]
    Trusted,
    /// Some of it, all within fences that it cannot close.
    Fenced,
    /// Some of it outside of a fence.
    Unfenced,
}

impl Content {
    /// Every content with its word.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Trusted, "trusted"), (Self::Fenced, "fenced"), (Self::Unfenced, "unfenced")];

    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(content, _)| *content == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Content {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text);
        found
            .map(|(content, _)| *content)
            .ok_or_else(|| format!("`{text}` is not a content: trusted, fenced or unfenced"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for (content, word) in Content::ALL {
            assert_eq!(word.parse::<Content>().unwrap(), content);
            assert_eq!(serde_json::to_value(content).unwrap(), word);
        }
        assert!("Fenced".parse::<Content>().is_err());
    }

    #[test]
    fn unfenced_is_the_worst() {
        assert!(Content::Trusted < Content::Fenced && Content::Fenced < Content::Unfenced);
    }
}
