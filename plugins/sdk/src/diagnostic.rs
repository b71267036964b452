//! What a component says of a configuration or a template when it is saved.

pub use crate::bindings::filter::hillock::plugin::diagnostics::Diagnostic;

impl Diagnostic {
    /// Something wrong at `path`: a dotted path into the configuration, or `line:column` in a
    /// template; empty for the whole.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}
