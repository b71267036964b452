//! How much is kept of what workers say of themselves and of their work, and shown of what earlier
//! versions kept. What is cut ends with a mark; secrets are taken out before.

use std::collections::{BTreeMap, BTreeSet};

use super::routing::Offer;
use super::text::{cut, storable};

/// The longest error, in bytes.
pub const ERROR_BYTES_MAX: usize = 8 * 1024;
/// The longest line of a log, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// The largest event, in bytes of JSON.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a worker, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// The longest word of an offer: a capability, a tool, a label's key or value, a place. In bytes.
pub const WORD_BYTES_MAX: usize = 256;
/// How many capabilities, tools and labels an offer has of each.
pub const WORDS_MAX: usize = 256;
/// How many agents a worker serves.
pub const AGENTS_MAX: usize = 1000;
/// How many commands a worker names at once: it takes 1000 at most, beside words to itself.
pub const HELD_MAX: usize = 2000;

/// What a mark takes up at most. What was cut is not cut again.
const MARK_BYTES: usize = 64;

/// An error.
pub fn error(text: String) -> String {
    shortened(text, ERROR_BYTES_MAX)
}

/// A line of a log.
pub fn line(text: String) -> String {
    shortened(text, LINE_BYTES_MAX)
}

/// A worker's name: on one line.
pub fn name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

/// What a worker offers.
pub fn offer(offer: Offer) -> Offer {
    let words = |words: BTreeSet<String>| words.into_iter().map(word).take(WORDS_MAX).collect();
    let labels = |labels: BTreeMap<String, String>| {
        labels.into_iter().map(|(key, value)| (word(key), word(value))).take(WORDS_MAX).collect()
    };
    Offer {
        capabilities: words(offer.capabilities),
        tools: words(offer.tools),
        labels: labels(offer.labels),
        cluster: offer.cluster.map(word),
        region: offer.region.map(word),
        platform: offer.platform.map(word),
        enforces: offer.enforces,
    }
}

/// The first of a list that is too long.
pub fn list<T>(mut items: Vec<T>, max: usize) -> Vec<T> {
    items.truncate(max);
    items
}

fn word(text: String) -> String {
    shortened(text, WORD_BYTES_MAX)
}

fn shortened(text: String, bytes_max: usize) -> String {
    let text = storable(text);
    if text.len() > bytes_max + MARK_BYTES { cut(text, bytes_max) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_once_and_marked() {
        type Bound = fn(String) -> String;
        let bounds: [(Bound, usize); 3] =
            [(error, ERROR_BYTES_MAX), (line, LINE_BYTES_MAX), (word, WORD_BYTES_MAX)];
        for (bound, max) in bounds {
            for bytes in [0, 1, max, max + MARK_BYTES] {
                assert_eq!(bound("x".repeat(bytes)).len(), bytes);
            }
            let cut = bound("é".repeat(max));
            assert!(cut.starts_with("éé") && cut.ends_with(&format!("é… [cut: {max} bytes]")));
            assert!(cut.len() <= max + MARK_BYTES);
            assert_eq!(bound(cut.clone()), cut);
            assert_eq!(bound("a\0b".to_owned()), "a\u{fffd}b");
        }
    }

    #[test]
    fn an_offer_has_so_many_words_and_no_more() {
        let many = || (0..3 * WORDS_MAX).map(|n| format!("{n:04}{}", "x".repeat(4096)));
        let offer = offer(Offer {
            capabilities: many().collect(),
            tools: many().collect(),
            labels: many().zip(many()).collect(),
            cluster: many().next(),
            region: many().next(),
            platform: many().next(),
            ..Offer::default()
        });
        let counts = [offer.capabilities.len(), offer.tools.len(), offer.labels.len()];
        assert_eq!(counts, [WORDS_MAX; 3]);
        assert!(serde_json::to_string(&offer).unwrap().len() < 6 * WORDS_MAX * WORD_BYTES_MAX);
        assert_eq!(super::offer(offer.clone()), offer);
    }

    #[test]
    fn names_are_one_line_and_lists_end() {
        assert_eq!(name(&format!("a\n\u{7}{}", "é".repeat(900))).chars().count(), NAME_CHARS_MAX);
        assert_eq!(list(vec![1, 2, 3], 2), [1, 2]);
    }
}
