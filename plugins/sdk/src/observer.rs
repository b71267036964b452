//! What an observer is written with: implement [`Observer`] and name the type in
//! [`export_observer!`](crate::export_observer). What it has to remember is in [`crate::state`].

pub use crate::activation::Activation;
pub use crate::bindings::observer::exports::hillock::plugin::observer::{
    Guest as Observer, Observation,
};
pub use crate::diagnostic::Diagnostic;
