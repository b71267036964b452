//! What a prompt template is written with: implement [`Template`] and name the type in
//! [`export_template!`](crate::export_template).

pub use crate::bindings::template::exports::hillock::plugin::template::{
    Guest as Template, RenderError,
};
pub use crate::diagnostic::Diagnostic;
pub use crate::event::Event;
