//! What a pre-fire hook is written with: implement [`PreFire`] and name the type in
//! [`export_pre_fire!`](crate::export_pre_fire).

pub use crate::bindings::pre_fire::exports::hillock::plugin::pre_fire::{
    Decision, Draft, Guest as PreFire,
};
pub use crate::diagnostic::Diagnostic;
