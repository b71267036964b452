//! Many texts that are looked for at once, and whether something begins like one of them.

use std::collections::HashSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;

/// So many bytes tell at once that nothing begins here, as a rule.
const HEAD: usize = 4;
/// How much of a beginning is looked for at a text's end, in bytes.
const BEGINNING_MAX: usize = 16 * 1024;
/// How many texts that begin alike are compared by their length.
const ALIKE_MAX: usize = 64;

pub(super) struct Set {
    find: AhoCorasick,
    /// Whose each text is.
    owners: Vec<usize>,
    sorted: Vec<Vec<u8>>,
    heads: HashSet<[u8; HEAD]>,
    /// The length of the longest, in bytes, as far as is looked for its beginning.
    pub(super) longest: usize,
}

impl Set {
    /// These texts, with whose they are.
    pub(super) fn of(texts: Vec<(Vec<u8>, usize)>) -> Result<Self, aho_corasick::BuildError> {
        let find = AhoCorasick::new(texts.iter().map(|(text, _)| text))?;
        let (mut sorted, owners): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
        sorted.sort_unstable();
        let heads = sorted.iter().filter_map(|text| text.first_chunk().copied()).collect();
        let longest = sorted.iter().map(Vec::len).max().unwrap_or(0).min(BEGINNING_MAX);
        Ok(Self { find, owners, sorted, heads, longest })
    }

    /// Where these texts stand in another, and whose they are.
    pub(super) fn matches<'t>(
        &'t self,
        text: &'t [u8],
    ) -> impl Iterator<Item = (Range<usize>, usize)> + 't {
        let found = self.find.find_overlapping_iter(text);
        found.map(|found| (found.range(), self.owners[found.pattern().as_usize()]))
    }

    /// The length of the shortest text that begins with this and goes on.
    pub(super) fn begun(&self, beginning: &[u8]) -> Option<usize> {
        if beginning.first_chunk().is_some_and(|head| !self.heads.contains(head)) {
            return None;
        }
        let first = self.sorted.partition_point(|text| text.as_slice() <= beginning);
        let alike = self.sorted[first..].iter().take(ALIKE_MAX);
        alike.take_while(|text| text.starts_with(beginning)).map(Vec::len).min()
    }

    /// Where the first of these texts may begin that the text ends within, if `counts` says so of
    /// where that is and how long the text is then.
    pub(super) fn open_at(
        &self,
        text: &[u8],
        counts: impl Fn(usize, usize) -> bool,
    ) -> Option<usize> {
        let first = text.len().saturating_sub(self.longest.saturating_sub(1));
        (first..text.len())
            .find(|at| self.begun(&text[*at..]).is_some_and(|shortest| counts(*at, shortest)))
    }
}
