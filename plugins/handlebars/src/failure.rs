//! Why a prompt could not be rendered.

/// Ends the rendering.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// The event has no value at this path.
    Missing(String),
    /// Anything else.
    Failed(String),
}
