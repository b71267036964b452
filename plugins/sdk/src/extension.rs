//! What an extension is written with: implement [`Extension`] and name the type in
//! [`export_extension!`](crate::export_extension). It has [`crate::http`], [`crate::state`] and
//! [`crate::clock`].

pub use crate::activation::Activation;
pub use crate::bindings::extension::exports::hillock::plugin::extension::{
    Batch, Context, Guest as Extension, PollError,
};
pub use crate::diagnostic::Diagnostic;

impl Batch {
    /// These events and this cursor; the next poll comes when it is due.
    pub fn new(activations: Vec<Activation>, cursor: Option<String>) -> Self {
        Self { activations, cursor, next_delay_ms: None, more: false }
    }
}
