//! A filter that reaches for what only templates have.

use hillock_plugin_sdk::export_filter;
use hillock_plugin_sdk::filter::{Diagnostic, Event, Filter, FilterError, Verdict};
use hillock_plugin_sdk::template::{Content, declare};

struct Grasping;

export_filter!(Grasping);

impl Filter for Grasping {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn matches(_: &Event, _: String) -> Result<Verdict, FilterError> {
        declare(Content::Trusted);
        Ok(Verdict::Matched)
    }
}
