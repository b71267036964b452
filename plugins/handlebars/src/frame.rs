//! Where a tag stands while it is rendered: the scopes around it, innermost first.

use hillock_plugin_sdk::template::Content;
use serde_json::Value;

use crate::program::{From, Reference, RoundPart, RoundVariable};
use crate::value::Found;

/// One scope.
pub(crate) struct Frame<'a> {
    outer: Option<&'a Frame<'a>>,
    this: Found<'a>,
    round: Option<Round<'a>>,
    /// What a partial was given by name.
    named: Vec<(&'a str, Found<'a>)>,
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
        Self { outer: None, this: Found::event(), round: None, named: Vec::new() }
    }

    pub(crate) fn with(outer: &'a Frame<'a>, this: Found<'a>) -> Self {
        Self { outer: Some(outer), this, round: None, named: Vec::new() }
    }

    pub(crate) fn each(outer: &'a Frame<'a>, this: Found<'a>, round: Round<'a>) -> Self {
        Self { outer: Some(outer), this, round: Some(round), named: Vec::new() }
    }

    /// The scope of a partial: about something, or about the same as outside.
    pub(crate) fn partial(
        outer: &'a Frame<'a>,
        this: Option<Found<'a>>,
        named: Vec<(&'a str, Found<'a>)>,
    ) -> Self {
        let this = this.unwrap_or_else(|| outer.this.clone());
        Self { outer: Some(outer), this, round: None, named }
    }

    /// A way up that leads past the outermost scope, which only happens within sections and
    /// partials, ends there.
    pub(crate) fn resolve(&'a self, reference: &Reference) -> Found<'a> {
        let scope = match reference.from {
            From::Up(scopes) => self.outwards().nth(scopes),
            From::Root => None,
        };
        let scope = scope.or_else(|| self.outwards().last()).unwrap_or(self);
        let (start, segments) = match reference.segments.split_first() {
            Some((first, rest)) => match scope.named.iter().find(|(name, _)| name == first) {
                Some((_, found)) => (found.clone(), rest),
                None => (scope.this.clone(), reference.segments.as_slice()),
            },
            None => (scope.this.clone(), reference.segments.as_slice()),
        };
        segments.iter().fold(start, |found, segment| found.child(segment))
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
