//! Filter `cel`: an expression in the Common Expression Language that must be true of the event.
//!
//! The configuration is the expression as a JSON string, or `{"expression": "…"}`:
//! `"data.action == 'opened' && data.issue.labels.exists(l, l.name == 'bug')"`. The `cel` crate
//! parses and evaluates; this one decides what may be asked, so that what a typo would break at run
//! time is refused when it is saved, and fetches from the host only the paths that are reached.
//!
//! # What an expression may name
//! - **Variables** `id`, `kind`, `scope`, `workspace_id`, `source`, `endpoint`, `producer`,
//!   `occurred_at`, `received_at`, `origin`, `verified`, `depth`, `causes`, `traceparent`, `data`.
//!   The two times are RFC 3339 text: `timestamp(received_at) > timestamp('2026-01-01T00:00:00Z')`.
//! - **Operators** `&& || ! ?: == != < <= > >= in + - * / %`, fields `a.b`, ``a.`with-dash` ``, items
//!   `a[0]`, `a['key']`, lists `[…]` and maps `{…: …}`.
//! - **Macros** `has(a.b)`; `list.all(x, …)`, `.exists`, `.exists_one`, `.map`, `.filter`. A map is
//!   walked by its keys. The variable of a macro may not have the name of one above.
//! - **Functions** `size`, `contains`, `startsWith`, `endsWith`, `matches`, `bool`, `int`, `uint`,
//!   `double`, `string`, `bytes`, `timestamp`, `duration`, `type`, `dyn`; `getFullYear`, `getMonth`,
//!   `getDate`, `getDayOfMonth`, `getDayOfWeek`, `getDayOfYear`, `getHours`, `getMinutes`,
//!   `getSeconds`, `getMilliseconds`. As time zones, `UTC` and offsets such as `+02:00`. Types have
//!   names: `type(data.x) == int`.
//! - **`matches`** takes a pattern that is written out, of the `regex-lite` crate: its time is
//!   linear in the text, `\d`, `\w` and `\s` are ASCII, and there are no Unicode classes.
//!
//! Optional syntax (`a.?b`), messages (`T{…}`) and other functions are refused. So is what cannot
//! give a bool, or combines types that do not go together, as far as the text shows it. An
//! expression has at most 16 KiB and 64 levels.
//!
//! # What is missing, and what is no bool
//! - A path that leads nowhere never matches: the event is unmatched and the reason names the path,
//!   whatever stands around it (`!data.draft` does not match where there is no `draft`). As in all
//!   CEL, `&&` and `||` look past it when their other side decides. To ask, there is `has(…)`, which
//!   looks for its last field; the one before must be there.
//! - Null is a value, and is there.
//! - Of a conjunction, the reason names the first part that is false, else the first path missing.
//! - A result that is no bool, and operators and functions that do not take what the event has
//!   (`data.count > 2` of text), fail. Numbers compare as numbers, integer or not, whatever their
//!   length. An integer beyond 64 bits can be compared and made text, and cannot be calculated with.

mod analysis;
mod big;
mod comparison;
mod config;
mod decision;
mod excerpt;
mod expression;
mod fields;
mod functions;
mod library;
mod paths;
mod problem;
mod source;
mod types;

use std::cell::RefCell;

use hillock_plugin_sdk::export_filter;
use hillock_plugin_sdk::filter::{Diagnostic, Event, Filter, FilterError, Verdict};

use decision::decide;
use expression::Expression;
use fields::Envelope;

struct Cel;

export_filter!(Cel);

impl Filter for Cel {
    fn check(config: String) -> Vec<Diagnostic> {
        config::compile(&config).err().unwrap_or_default()
    }

    fn matches(event: &Event, config: String) -> Result<Verdict, FilterError> {
        LAST.with_borrow_mut(|last| {
            let (config, expression) = match last.take() {
                Some((known, expression)) if known == config => (known, expression),
                _ => {
                    let expression = config::compile(&config).map_err(invalid_config)?;
                    (config, expression)
                }
            };
            let verdict = decide(&expression, event);
            *last = Some((config, expression));
            verdict
        })
    }
}

thread_local! {
    /// The expression of the last call: an instance is reused within one configuration.
    static LAST: RefCell<Option<(String, Expression)>> = const { RefCell::new(None) };
}

impl Envelope for Event {
    fn get(&self, path: &str) -> Option<String> {
        Event::get(self, path)
    }
}

fn invalid_config(diagnostics: Vec<Diagnostic>) -> FilterError {
    let messages: Vec<String> =
        diagnostics.into_iter().map(|Diagnostic { message, .. }| message).collect();
    FilterError::InvalidConfig(messages.join("; "))
}
