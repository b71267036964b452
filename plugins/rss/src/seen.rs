//! Which items have been seen: a fingerprint of each of the last 500.
//!
//! It is the first net; the host's own, by an event's dedupe key, is the second. An item that is
//! still in the feed is as good as new, so it is never the one that is forgotten.

/// How many items are remembered: as many as one value of the state has room for, and some to
/// spare.
pub(crate) const SEEN_MAX: usize = 500;
/// The digits of a fingerprint in hexadecimal.
const DIGITS: usize = 16;
/// The longest dedupe key, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// Fingerprints, the latest last.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen(Vec<u64>);

impl Seen {
    /// What is in the state; nothing where that makes no sense.
    pub(crate) fn parse(text: &str) -> Self {
        let parse = |digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
        Self(text.as_bytes().chunks(DIGITS).filter_map(parse).collect())
    }

    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|print| format!("{print:0DIGITS$x}")).collect()
    }

    /// Adds an item as the latest; says whether it is new.
    pub(crate) fn add(&mut self, id: &str) -> bool {
        let print = fingerprint(id);
        let before = self.0.len();
        self.0.retain(|known| *known != print);
        let new = self.0.len() == before;
        self.0.push(print);
        let forgotten = self.0.len().saturating_sub(SEEN_MAX);
        self.0.drain(..forgotten);
        new
    }
}

/// What the host recognises an item by: its identity, or the beginning and the fingerprint of one
/// that is too long.
pub(crate) fn dedupe_key(id: &str) -> String {
    if id.len() <= KEY_BYTES_MAX {
        return id.to_owned();
    }
    let beginning = &id[..id.floor_char_boundary(KEY_BYTES_MAX - DIGITS - 1)];
    format!("{beginning}#{:0DIGITS$x}", fingerprint(id))
}

/// FNV-1a: the same in every build, which the standard library's hashes do not promise.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_fnv_1a() {
        for (text, wanted) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fingerprint(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_item_is_new_once() {
        let mut seen = Seen::default();
        assert!(seen.add("a") && seen.add("b"));
        let mut seen = Seen::parse(&seen.to_text());
        assert!(!seen.add("a") && !seen.add("b") && seen.add("c"));
        assert_eq!(Seen::parse("nonsense, and 12"), Seen::default());
    }

    #[test]
    fn what_was_not_met_for_long_is_forgotten_first() {
        let mut seen = Seen::default();
        for i in 0..SEEN_MAX {
            assert!(seen.add(&i.to_string()));
        }
        assert!(!seen.add("0"));
        assert!(seen.add("new"));
        assert!(!seen.add("0"), "it was met again");
        assert_eq!(seen.to_text().len(), SEEN_MAX * DIGITS);
        assert!(seen.add("1"), "it was the oldest");
    }

    #[test]
    fn keys_fit_and_stay_apart() {
        assert_eq!(dedupe_key("urn:1"), "urn:1");
        let long = "é".repeat(400);
        let (one, other) = (dedupe_key(&format!("{long}1")), dedupe_key(&format!("{long}2")));
        assert!(one.len() <= KEY_BYTES_MAX && one.starts_with("éé"));
        assert_ne!(one, other);
    }
}
