//! What a hook is written with: implement [`Hook`] and name the type in
//! [`export_hook!`](crate::export_hook).

pub use crate::activation::Activation;
pub use crate::bindings::hook::exports::hillock::plugin::hook::{Guest as Hook, Occurrence};
pub use crate::diagnostic::Diagnostic;
