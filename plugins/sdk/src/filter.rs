//! What a filter is written with: implement [`Filter`] and name the type in
//! [`export_filter!`](crate::export_filter).

pub use crate::bindings::filter::exports::hillock::plugin::filter_rules::{
    FilterError, Guest as Filter, Verdict,
};
pub use crate::diagnostic::Diagnostic;
pub use crate::event::Event;
