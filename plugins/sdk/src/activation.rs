//! What hooks, observers and extensions make events of.

pub use crate::bindings::hook::hillock::plugin::activations::Activation;

impl Activation {
    /// An event with this JSON text as its data, never a duplicate. Set the rest with struct update
    /// syntax.
    pub fn new(kind: impl Into<String>, data: impl Into<String>) -> Self {
        Self { kind: kind.into(), data: data.into(), dedupe: None, occurred_at: None }
    }
}
