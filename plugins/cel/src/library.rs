//! What the `cel` crate evaluates with: its standard library, and `matches` on an engine whose time
//! is linear in the text and that is small.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cel_syntax::common::types::{CelBool, CelString};
use cel_syntax::{Env, ExecutionError, add_member_overload, add_overload};
use regex_lite::{Regex, RegexBuilder};

use crate::{big, comparison};

/// A pattern's size when compiled, in bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// An expression has its patterns written out, so these are those of a few expressions.
const PATTERNS_MAX: usize = 256;

thread_local! {
    static LIBRARY: Arc<Env> = Arc::new(built());
    static PATTERNS: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn library() -> Arc<Env> {
    LIBRARY.with(Arc::clone)
}

fn built() -> Env {
    let mut library = Env::default().with_optional_support(false).with_stdlib();
    let added = add_overload!(library, fn matches: (CelString, CelString) -> Result<CelBool>,
        id = "matches")
    .and_then(|()| {
        add_member_overload!(library, fn matches: (CelString, CelString) -> Result<CelBool>,
            id = "matches_string")
    });
    let added = added
        .and_then(|()| big::add_to(&mut library))
        .and_then(|()| comparison::add_to(&mut library));
    debug_assert!(added.is_ok(), "{added:?}");
    library
}

/// Compiles a pattern.
///
/// # Errors
/// Why it is none.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    compiled.map_err(|error| format!("the pattern {text:?} cannot be read: {error}"))
}

fn matches(text: &CelString<'_>, wanted: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    PATTERNS.with_borrow_mut(|patterns| {
        if !patterns.contains_key(wanted.inner()) {
            let compiled = pattern(wanted.inner())
                .map_err(|reason| ExecutionError::function_error("matches", reason))?;
            if patterns.len() == PATTERNS_MAX {
                patterns.clear();
            }
            patterns.insert(wanted.inner().to_owned(), compiled);
        }
        Ok(CelBool::from(patterns[wanted.inner()].is_match(text.inner())))
    })
}
