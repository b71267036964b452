//! Where a tag stands while it is rendered: the scopes around it, innermost first.

use hillock_plugin_sdk::template::Content;
use serde_json::Value;

use crate::failure::Failure;
use crate::program::{Reference, RoundPart, RoundVariable};
use crate::value::{Envelope, Found};

/// One scope. A program's ways up never lead past the outermost.
pub(crate) struct Frame<'a> {
    outer: Option<&'a Frame<'a>>,
    this: Found<'a>,
    round: Option<Round<'a>>,
}

/// One turn of an `each`.
pub(crate) struct Round<'a> {
    pub(crate) index: usize,
    /// The key in an object; arrays have indexes for keys.
    pub(crate) key: Option<&'a str>,
    /// What the object holds, its keys included.
    pub(crate) content: Content,
    pub(crate) last: bool,
}

impl<'a> Frame<'a> {
    /// The event itself.
    pub(crate) fn outermost() -> Self {
        Self { outer: None, this: Found::event(), round: None }
    }

    pub(crate) fn with(outer: &'a Frame<'a>, this: Found<'a>) -> Self {
        Self { outer: Some(outer), this, round: None }
    }

    pub(crate) fn each(outer: &'a Frame<'a>, this: Found<'a>, round: Round<'a>) -> Self {
        Self { outer: Some(outer), this, round: Some(round) }
    }

    pub(crate) fn resolve(
        &'a self,
        reference: &Reference,
        envelope: &impl Envelope,
    ) -> Result<Found<'a>, Failure> {
        let scope = self.outwards().nth(reference.scopes_up).unwrap_or(self);
        reference
            .segments
            .iter()
            .try_fold(scope.this.clone(), |found, segment| found.child(segment, envelope))
    }

    pub(crate) fn round_variable(&'a self, variable: &RoundVariable) -> Found<'a> {
        let mut rounds = self.outwards().filter_map(|frame| frame.round.as_ref());
        let counted = |value: Value| Found::computed(value, Content::Trusted);
        let Some(round) = rounds.nth(variable.rounds_up) else {
            return counted(Value::Null);
        };
        match (variable.part, round.key) {
            (RoundPart::Index, _) | (RoundPart::Key, None) => counted(round.index.into()),
            (RoundPart::Key, Some(key)) => Found::computed(key, round.content),
            (RoundPart::First, _) => counted((round.index == 0).into()),
            (RoundPart::Last, _) => counted(round.last.into()),
        }
    }

    fn outwards(&'a self) -> impl Iterator<Item = &'a Frame<'a>> {
        std::iter::successors(Some(self), |frame| frame.outer)
    }
}
