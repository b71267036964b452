//! What a worker shows at the door: a bootstrap token to register, then a credential of its own.

use std::fmt;

use sha2::{Digest, Sha256};

/// How much of one people may see, in characters behind its kind.
const SHOWN: usize = 6;

/// A bearer's secret, shown once to whoever asked for it; the store keeps its hash.
#[derive(Clone)]
pub struct Bearer {
    text: String,
    shown: usize,
}

impl Bearer {
    /// What every bootstrap token begins with.
    pub const BOOTSTRAP: &'static str = "hlk_boot_";
    /// What every worker's credential begins with.
    pub const CREDENTIAL: &'static str = "hlk_wrk_";

    /// A bootstrap token of these random bytes.
    pub fn bootstrap(random: [u8; 32]) -> Self {
        Self::new(Self::BOOTSTRAP, random)
    }

    /// A worker's credential of these random bytes.
    pub fn credential(random: [u8; 32]) -> Self {
        Self::new(Self::CREDENTIAL, random)
    }

    fn new(kind: &str, random: [u8; 32]) -> Self {
        Self { text: format!("{kind}{}", hex::encode(random)), shown: kind.len() + SHOWN }
    }

    /// The whole of it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What people may see of it.
    pub fn prefix(&self) -> &str {
        self.text.get(..self.shown).unwrap_or_default()
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        Self::hash_of(&self.text)
    }

    /// The same, of one that somebody shows.
    pub fn hash_of(text: &str) -> [u8; 32] {
        Sha256::digest(text.as_bytes()).into()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer({}…)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_is_shown() {
        let token = Bearer::bootstrap([0xab; 32]);
        assert_eq!(token.expose(), format!("hlk_boot_{}", "ab".repeat(32)));
        assert_eq!(token.prefix(), "hlk_boot_ababab");
        assert_eq!(Bearer::credential([1; 32]).prefix(), "hlk_wrk_010101");
        assert_eq!(format!("{token:?}"), "Bearer(hlk_boot_ababab…)");
        assert_eq!(Bearer::hash_of(token.expose()), token.hash());
    }
}
