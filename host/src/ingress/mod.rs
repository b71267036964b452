//! Ingress: what comes in becomes an event in the inbox, and only then is the sender answered.
//!
//! ```text
//!   request ─► endpoint ─► source component ─► verified by the host? ─► dedupe + commit ─► answer
//!   notice, observation, poll ─► component ─► may it make these? ─────► with its state     │
//!                                                                                          │
//!                                                                       inbox (a hint) ◄───┘
//! ```
//! Nothing here looks at triggers. What is handed on to activation is only a hint: an event that
//! gets lost on that way is found in the store.

mod endpoints;
mod extensions;
mod granted;
pub mod inbox;
mod lifecycle;
mod looks;
mod mint;
mod observers;
mod webhook;

pub use endpoints::{Address, EndpointState, OpenEndpoint};
pub use extensions::Extensions;
pub use granted::Granted;
pub use lifecycle::{Lifecycle, LifecycleError};
pub use looks::{LEASE, Looks};
pub use observers::{Observers, Queues};
pub use webhook::{Answer, IngressError, WebhookRequest, Webhooks, delivery_keys};
