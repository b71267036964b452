//! Ingress: what comes in becomes an event in the inbox, and only then is the sender answered.
//!
//! ```text
//!   request ─► endpoint ─► source component ─► verified by the host? ─► dedupe + commit ─► answer
//!                                                                          │
//!                                                                          └─► inbox (a hint)
//! ```
//! Nothing here looks at triggers. What is handed on to activation is only a hint: an event that
//! gets lost on that way is found in the store.

mod endpoints;
pub mod inbox;
mod webhook;

pub use endpoints::{Address, Endpoints, OpenEndpoint};
pub use webhook::{Answer, IngressError, WebhookRequest, Webhooks};
