//! The kit that Hillock plugins are written with.
//!
//! A plugin is a WebAssembly component for one of the worlds in `wit/v0`: it implements one trait
//! and exports it with one line. It has no files, no network and no environment, its clock and its
//! randomness come from the event, and everything it wants to know it asks the host for.
//!
//! | kind | trait | export |
//! |---|---|---|
//! | webhook source | [`source::Source`] | [`export_source!`] |
//! | filter | [`filter::Filter`] | [`export_filter!`] |
//! | prompt template | [`template::Template`] | [`export_template!`] |
//!
//! # A filter
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! hillock-plugin-sdk = "0.1"
//! ```
//! ```no_run
//! use hillock_plugin_sdk::filter::{Diagnostic, Event, Filter, FilterError, Verdict};
//!
//! /// Passes events of the kind that the configuration names.
//! struct Kind;
//!
//! impl Filter for Kind {
//!     fn check(config: String) -> Vec<Diagnostic> {
//!         if config.is_empty() {
//!             return vec![Diagnostic::at("", "name a kind")];
//!         }
//!         Vec::new()
//!     }
//!
//!     fn matches(event: &Event, config: String) -> Result<Verdict, FilterError> {
//!         match event.text("kind") {
//!             Some(kind) if kind == config => Ok(Verdict::Matched),
//!             _ => Ok(Verdict::Unmatched(format!("kind is not `{config}`"))),
//!         }
//!     }
//! }
//!
//! hillock_plugin_sdk::export_filter!(Kind);
//! # fn main() {}
//! ```
//! `cargo build --release --target wasm32-wasip2` makes the component. For small ones, set
//! `opt-level = "s"`, `lto = true`, `codegen-units = 1`, `panic = "abort"` and `strip = true` in
//! the release profile.
//!
//! # A webhook source
//! ```no_run
//! use hillock_plugin_sdk::source::*;
//!
//! /// Signs the raw body: `Example-Signature: <hex>`.
//! struct Example;
//!
//! impl Source for Example {
//!     fn receive(request: &Incoming) -> Result<Outcome, Rejection> {
//!         let signature = signature_header(request, "Example-Signature")?;
//!         verified(
//!             request,
//!             &Claim {
//!                 message: vec![Part::Body],
//!                 signatures: signature.into_iter().collect(),
//!                 ..Claim::new("example", Algorithm::HmacSha256, Encoding::Hex)
//!             },
//!         )?;
//!         Ok(Outcome::Activations(vec![Activation {
//!             kind: "example".to_owned(),
//!             data: json_body(request)?,
//!             dedupe: vec![Identity::BodyHash],
//!             occurred_at: None,
//!         }]))
//!     }
//! }
//!
//! hillock_plugin_sdk::export_source!(Example);
//! # fn main() {}
//! ```
//!
//! # What a plugin may count on
//! - An instance may serve several calls with the same configuration in the same workspace, so
//!   what was parsed can be kept in a `thread_local`. It may also be gone after any call.
//! - Each call has limits: computation, time, memory, log lines, host calls, size of the answer.
//!   Exceeding one ends the call.
//! - Refusing is an answer and panicking is a fault: return the error variant that fits. A
//!   component that keeps failing is set aside for a while.

#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod bindings;
pub mod diagnostic;
pub mod event;
pub mod filter;
pub mod log;
pub mod source;
pub mod template;

/// Exports a type that implements [`filter::Filter`] as the component.
pub use bindings::filter::export_filter;
/// Exports a type that implements [`source::Source`] as the component.
pub use bindings::source::export_source;
/// Exports a type that implements [`template::Template`] as the component.
pub use bindings::template::export_template;
