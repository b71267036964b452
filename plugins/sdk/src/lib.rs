//! The kit that Hillock plugins are written with.
//!
//! A plugin is a WebAssembly component for one of the worlds in `wit/v0`: it implements one trait
//! and exports it with one line. It has no files, no network and no environment, its clock and its
//! randomness come from the event, and everything it wants to know it asks the host for. Only an
//! extension sees more: the real time, and what the operator lets it fetch.
//!
//! | kind | trait | export |
//! |---|---|---|
//! | webhook source | [`source::Source`] | [`export_source!`] |
//! | filter | [`filter::Filter`] | [`export_filter!`] |
//! | prompt template | [`template::Template`] | [`export_template!`] |
//! | hook | [`hook::Hook`] | [`export_hook!`] |
//! | observer | [`observer::Observer`] | [`export_observer!`] |
//! | extension | [`extension::Extension`] | [`export_extension!`] |
//! | pre-fire hook | [`pre_fire::PreFire`] | [`export_pre_fire!`] |
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
//! # A hook
//! ```no_run
//! use hillock_plugin_sdk::hook::{Activation, Diagnostic, Hook, Occurrence};
//!
//! /// Makes an event of every failed run.
//! struct Failures;
//!
//! impl Hook for Failures {
//!     fn check(_: String) -> Vec<Diagnostic> {
//!         Vec::new()
//!     }
//!
//!     fn notice(occurrence: Occurrence) -> Vec<Activation> {
//!         if occurrence.point != "run.failed" {
//!             return Vec::new();
//!         }
//!         vec![Activation {
//!             dedupe: Some(occurrence.id),
//!             occurred_at: Some(occurrence.at),
//!             ..Activation::new("hook.run.failed", occurrence.data)
//!         }]
//!     }
//! }
//!
//! hillock_plugin_sdk::export_hook!(Failures);
//! # fn main() {}
//! ```
//!
//! # An observer
//! ```no_run
//! use hillock_plugin_sdk::observer::{Activation, Diagnostic, Observation, Observer};
//! use hillock_plugin_sdk::state;
//!
//! /// Makes an event of every tenth file that changes.
//! struct Tenth;
//!
//! impl Observer for Tenth {
//!     fn check(_: String) -> Vec<Diagnostic> {
//!         Vec::new()
//!     }
//!
//!     fn observe(observation: Observation) -> Vec<Activation> {
//!         if observation.subject != "file" {
//!             return Vec::new();
//!         }
//!         let seen = state::get("seen").and_then(|seen| seen.parse().ok()).unwrap_or(0_u64) + 1;
//!         state::set("seen", &seen.to_string());
//!         match seen % 10 {
//!             0 => vec![Activation::new("file.tenth", observation.data)],
//!             _ => Vec::new(),
//!         }
//!     }
//! }
//!
//! hillock_plugin_sdk::export_observer!(Tenth);
//! # fn main() {}
//! ```
//!
//! # An extension
//! ```no_run
//! use hillock_plugin_sdk::extension::{
//!     Activation, Batch, Context, Diagnostic, Extension, PollError,
//! };
//! use hillock_plugin_sdk::http::{Request, fetch};
//!
//! /// Makes an event of a page whenever it has another `ETag`.
//! struct Page;
//!
//! impl Extension for Page {
//!     fn check(_: String) -> Vec<Diagnostic> {
//!         Vec::new()
//!     }
//!
//!     fn poll(context: Context) -> Result<Batch, PollError> {
//!         let mut request = Request::get("https://example.com/");
//!         if let Some(seen) = &context.cursor {
//!             request = request.header("if-none-match", seen);
//!         }
//!         let response = fetch(&request)?;
//!         match (response.status, response.header("etag")) {
//!             (304, _) => Ok(Batch::new(Vec::new(), context.cursor)),
//!             (200, Some(tag)) => {
//!                 let found = Activation {
//!                     dedupe: Some(tag.to_owned()),
//!                     ..Activation::new(format!("ext.{}.changed", context.name), "{}")
//!                 };
//!                 Ok(Batch::new(vec![found], Some(tag.to_owned())))
//!             }
//!             (status, _) => Err(PollError::Retry(format!("the server answered {status}"))),
//!         }
//!     }
//! }
//!
//! hillock_plugin_sdk::export_extension!(Page);
//! # fn main() {}
//! ```
//!
//! # A pre-fire hook
//! ```no_run
//! use hillock_plugin_sdk::pre_fire::{Decision, Diagnostic, Draft, PreFire};
//!
//! /// Lets nothing be deleted.
//! struct Careful;
//!
//! impl PreFire for Careful {
//!     fn check(_: String) -> Vec<Diagnostic> {
//!         Vec::new()
//!     }
//!
//!     fn pre_fire(draft: Draft) -> Decision {
//!         match draft.agent.as_str() {
//!             "janitor" => Decision::Cancel("the janitor is on leave".to_owned()),
//!             _ => Decision::Rewrite(format!("{}\n\nDelete nothing.", draft.prompt)),
//!         }
//!     }
//! }
//!
//! hillock_plugin_sdk::export_pre_fire!(Careful);
//! # fn main() {}
//! ```
//!
//! # What a plugin may count on
//! - An instance may serve several calls with the same configuration in the same workspace, so
//!   what was parsed can be kept in a `thread_local`. It may also be gone after any call, and an
//!   extension's always is. What has to be remembered belongs into [`state`].
//! - Each call has limits: computation, time, memory, log lines, host calls, size of the answer.
//!   Exceeding one ends the call.
//! - Refusing is an answer and panicking is a fault: return the error variant that fits. A
//!   component that keeps failing is set aside for a while.

pub mod activation;
#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod bindings;
pub mod clock;
pub mod diagnostic;
pub mod event;
pub mod extension;
pub mod filter;
pub mod hook;
pub mod http;
pub mod log;
pub mod observer;
pub mod path;
pub mod pre_fire;
pub mod source;
pub mod state;
pub mod template;

/// Exports a type that implements [`extension::Extension`] as the component.
pub use bindings::extension::export_extension;
/// Exports a type that implements [`filter::Filter`] as the component.
pub use bindings::filter::export_filter;
/// Exports a type that implements [`hook::Hook`] as the component.
pub use bindings::hook::export_hook;
/// Exports a type that implements [`observer::Observer`] as the component.
pub use bindings::observer::export_observer;
/// Exports a type that implements [`pre_fire::PreFire`] as the component.
pub use bindings::pre_fire::export_pre_fire;
/// Exports a type that implements [`source::Source`] as the component.
pub use bindings::source::export_source;
/// Exports a type that implements [`template::Template`] as the component.
pub use bindings::template::export_template;
