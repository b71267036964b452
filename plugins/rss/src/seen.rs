//! Which items have been seen, and which of a feed's are new.
//!
//! ```text
//!   recent   the last 3 000 that were met, 27 characters each: identity, title, text, date
//!   older    22 000 before them, 8 characters each: identity
//! ```
//! Feeds give several items one identity. So a known item is one of the same identity that has its
//! title or its text, too; or else, where no other item of the feed has been found to be that one,
//! its date, or an identity that the format says is for ever. An item that is still in the feed is as
//! good as new, so it is the last that is forgotten.
//!
//! This is the first net; the host's own, by an event's dedupe key, is the second. What version
//! 0.1.0 kept (`seen`, 500 identities) is taken over.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::feed::{Id, Item, Means};
use crate::text::Text;

/// How many are kept with all that is known of them.
const RECENT_MAX: usize = 3_000;
/// How many are kept by their identity: together a little less than a state has room for.
const OLDER_MAX: usize = 22_000;
/// The longest value of a state, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// What a fingerprint takes with all of it, and its identity alone, in bytes.
const BYTES: usize = 20;
const ID_BYTES: usize = 6;
/// Where version 0.1.0 had its fingerprints, and how many digits one has.
const FORMER: &str = "seen";
const FORMER_DIGITS: usize = 16;
/// The longest dedupe key, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// A fingerprint of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Print {
    /// 48 bits of its identity.
    id: u64,
    /// What else it has; none of one that is long ago.
    rest: Option<Rest>,
}

/// Fingerprints of what it says; 0 of what it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rest {
    /// 48 bits, as the next.
    title: u64,
    text: u64,
    date: u16,
}

impl Rest {
    fn of(item: &Item) -> Self {
        let print = |text: Option<&str>| text.map_or(0, |text| shortened(mixed(text)).max(1));
        let [.., high, low] = print(item.date.as_deref()).to_be_bytes();
        Self {
            title: print(item.title.as_ref().map(Text::raw)),
            text: print(item.summary.as_ref().map(Text::raw)),
            date: u16::from_be_bytes([high, low]),
        }
    }
}

impl Print {
    fn of(item: &Item) -> Self {
        Self { id: id_print(&item.id), rest: Some(Rest::of(item)) }
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let Rest { title, text, date } = self.rest.unwrap_or_default();
        let mut bytes = [0; BYTES];
        bytes[..6].copy_from_slice(&self.id.to_be_bytes()[2..]);
        bytes[6..12].copy_from_slice(&title.to_be_bytes()[2..]);
        bytes[12..18].copy_from_slice(&text.to_be_bytes()[2..]);
        bytes[18..].copy_from_slice(&date.to_be_bytes());
        bytes
    }

    /// Of all bytes, or of those of an identity.
    fn from_bytes(bytes: &[u8]) -> Self {
        let print =
            |bytes: &[u8]| bytes.iter().fold(0, |print, byte| print << 8 | u64::from(*byte));
        let rest = (bytes.len() == BYTES).then(|| Rest {
            title: print(&bytes[6..12]),
            text: print(&bytes[12..18]),
            date: u16::from_be_bytes([bytes[18], bytes[19]]),
        });
        Self { id: print(&bytes[..ID_BYTES]), rest }
    }
}

/// An item that has not been seen, by its place in the feed's order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct New {
    pub(crate) at: usize,
    /// What the host recognises its event by.
    pub(crate) key: String,
}

/// The items that have been seen, the latest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen(Vec<Print>);

impl Seen {
    /// What is in the state; none when nothing was ever seen.
    pub(crate) fn load(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let former = get(FORMER).map(|text| former(&text));
        let kept = |name: &str, bytes: usize| -> Option<Vec<Print>> {
            let values = (0..).map_while(|part| get(&format!("{name}.{part}")));
            let values: Vec<String> = values.collect();
            let decoded = values.iter().filter_map(|value| BASE64.decode(value).ok()).flatten();
            let decoded: Vec<u8> = decoded.collect();
            let prints = decoded.chunks_exact(bytes).map(Print::from_bytes).collect();
            (!values.is_empty()).then_some(prints)
        };
        let (older, recent) = (kept("older", ID_BYTES), kept("recent", BYTES));
        let parts = [former, older, recent];
        parts
            .iter()
            .any(Option::is_some)
            .then(|| Self(parts.into_iter().flatten().flatten().collect()))
    }

    /// Puts it into a state: each key with its value, or with none when it is to be removed.
    pub(crate) fn save(&self, mut put: impl FnMut(&str, Option<String>)) {
        put(FORMER, None);
        let (older, recent) = self.0.split_at(self.0.len().saturating_sub(RECENT_MAX));
        let older = &older[older.len().saturating_sub(OLDER_MAX)..];
        let mut keep = |name: &str, prints: &[Print], bytes: usize, most: usize| {
            // Base64 makes four of three.
            let in_one = VALUE_BYTES_MAX / 4 * 3 / bytes;
            let parts: Vec<&[Print]> = prints.chunks(in_one).collect();
            for part in 0..most.div_ceil(in_one) {
                // Even of nothing there is a first part: something was looked at.
                let prints = parts.get(part).copied().or((part == 0).then_some(&[][..]));
                let text = prints.map(|prints| {
                    let all =
                        prints.iter().flat_map(|print| print.to_bytes().into_iter().take(bytes));
                    BASE64.encode(all.collect::<Vec<u8>>())
                });
                put(&format!("{name}.{part}"), text);
            }
        };
        keep("older", older, ID_BYTES, OLDER_MAX);
        keep("recent", recent, BYTES, RECENT_MAX);
    }

    /// Compares a feed's items, oldest first, with what has been seen.
    pub(crate) fn compare<'i>(&self, items: impl Iterator<Item = &'i Item>) -> Comparison {
        let mut index = Index::of(&self.0);
        let items: Vec<(Print, Id)> =
            items.map(|item| (Print::of(item), item.id.clone())).collect();
        let mut found: Vec<Option<usize>> =
            items.iter().map(|(print, id)| index.alike(print, id.means)).collect();
        let met = self.marked(found.iter().flatten());
        for ((print, id), found) in items.iter().zip(&mut found) {
            if found.is_none() {
                *found = index.left(print, id.means, &met);
            }
        }
        let mut new = Vec::new();
        for (at, (print, id)) in items.iter().enumerate() {
            if found[at].is_none() && index.alike(print, id.means).is_none() {
                new.push(New { at, key: index.key(print, id) });
                index.add(self.0.len() + at, print);
            }
        }
        Comparison { prints: items.into_iter().map(|(print, _)| print).collect(), found, new }
    }

    /// Which of those seen are these.
    fn marked<'f>(&self, found: impl Iterator<Item = &'f usize>) -> Vec<bool> {
        let mut marked = vec![false; self.0.len()];
        found.for_each(|at| marked[*at] = true);
        marked
    }

    /// What has been seen now: of the new items, those before `taken`.
    pub(crate) fn after(&self, comparison: &Comparison, taken: usize) -> Self {
        let met = self.marked(comparison.found.iter().flatten());
        let gone = self.0.iter().zip(&met).filter(|(_, met)| !**met);
        let mut prints: Vec<Print> = gone.map(|(print, _)| *print).collect();
        let mut taken = comparison.new[..taken].iter().map(|new| new.at).peekable();
        let mut left = met;
        for (at, print) in comparison.prints.iter().enumerate() {
            let known = comparison.found[at].is_some_and(|known| std::mem::take(&mut left[known]));
            if known || taken.next_if_eq(&at).is_some() {
                prints.push(*print);
            }
        }
        prints.drain(..prints.len().saturating_sub(RECENT_MAX + OLDER_MAX));
        Self(prints)
    }
}

/// What became of a feed's items.
#[derive(Debug)]
pub(crate) struct Comparison {
    prints: Vec<Print>,
    /// Which of those seen it is.
    found: Vec<Option<usize>>,
    /// Those that are new, oldest first.
    pub(crate) new: Vec<New>,
}

/// Fingerprints by what they have in common.
#[derive(Default)]
struct Index {
    by_id: BTreeMap<u64, usize>,
    by_all: BTreeMap<(u64, Rest), usize>,
    by_title: BTreeMap<(u64, u64), usize>,
    by_text: BTreeMap<(u64, u64), usize>,
    by_date: BTreeMap<(u64, u16), Vec<usize>>,
    /// Those of which nothing but the identity is known.
    bare: BTreeMap<u64, Vec<usize>>,
    /// Those of which more is known.
    full: BTreeMap<u64, Vec<usize>>,
}

impl Index {
    fn of(prints: &[Print]) -> Self {
        let mut index = Self::default();
        prints.iter().enumerate().for_each(|(at, print)| index.add(at, print));
        index
    }

    fn add(&mut self, at: usize, print: &Print) {
        let Print { id, rest } = *print;
        self.by_id.insert(id, at);
        let Some(rest) = rest else {
            self.bare.entry(id).or_default().push(at);
            return;
        };
        self.full.entry(id).or_default().push(at);
        self.by_all.insert((id, rest), at);
        if rest.title != 0 {
            self.by_title.insert((id, rest.title), at);
        }
        if rest.text != 0 {
            self.by_text.insert((id, rest.text), at);
        }
        if rest.date != 0 {
            self.by_date.entry((id, rest.date)).or_default().push(at);
        }
    }

    /// One that is certainly the same.
    fn alike(&self, print: &Print, means: Means) -> Option<usize> {
        let Print { id, rest } = *print;
        let rest = rest.unwrap_or_default();
        let same = self.by_all.get(&(id, rest));
        let found = match means {
            Means::Words => same,
            Means::Item | Means::Place => same
                .or_else(|| self.by_title.get(&(id, rest.title)))
                .or_else(|| self.by_text.get(&(id, rest.text))),
        };
        found.copied()
    }

    /// One that may be the same, since it is no other: the item was edited, or it is so long ago
    /// that only the identity is left.
    fn left(&mut self, print: &Print, means: Means, met: &[bool]) -> Option<usize> {
        let Print { id, rest } = *print;
        let date = rest.unwrap_or_default().date;
        let edited = match means {
            Means::Item => self.full.get_mut(&id),
            Means::Place => self.by_date.get_mut(&(id, date)),
            Means::Words => None,
        };
        let edited = edited.and_then(|left| pop(left, met));
        edited.or_else(|| pop(self.bare.get_mut(&id)?, met))
    }

    /// What the host recognises a new item by: its identity, and where that is another's already,
    /// what it says as well.
    fn key(&self, print: &Print, id: &Id) -> String {
        if !self.by_id.contains_key(&print.id) {
            return dedupe_key(&id.text);
        }
        let all: String = print.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        dedupe_key(&format!("{} {all}", id.text))
    }
}

/// Takes the last that was not met.
fn pop(left: &mut Vec<usize>, met: &[bool]) -> Option<usize> {
    std::iter::from_fn(|| left.pop()).find(|at| !met[*at])
}

/// What version 0.1.0 kept; nothing where that makes no sense.
fn former(text: &str) -> Vec<Print> {
    let parse = |digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let prints = text.as_bytes().chunks(FORMER_DIGITS).filter_map(parse);
    prints.map(|print| Print { id: shortened(print), rest: None }).collect()
}

fn id_print(id: &Id) -> u64 {
    shortened(fingerprint(&id.text))
}

/// A fingerprint of which any part is as good as another (the end of SplitMix64).
fn mixed(text: &str) -> u64 {
    let print = fingerprint(text);
    let print = (print ^ (print >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let print = (print ^ (print >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    print ^ (print >> 31)
}

/// 48 bits of it.
fn shortened(print: u64) -> u64 {
    print & 0xffff_ffff_ffff
}

/// What the host recognises an item by: its identity, or the beginning and the fingerprint of one
/// that is too long.
fn dedupe_key(id: &str) -> String {
    if id.len() <= KEY_BYTES_MAX {
        return id.to_owned();
    }
    let beginning = &id[..id.floor_char_boundary(KEY_BYTES_MAX - FORMER_DIGITS - 1)];
    format!("{beginning}#{:0FORMER_DIGITS$x}", fingerprint(id))
}

/// FNV-1a: the same in every build, which the standard library's hashes do not promise.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests;
