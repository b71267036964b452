//! What looks by itself, every now and then: extensions, and observers of the queue.

use std::sync::Arc;
use std::time::Duration;

use super::inbox::InboxSender;
use crate::model::definition::Definitions;
use crate::store::StoreError;
use crate::store::events::{Accepted, Delivery};
use crate::store::source_states::SourceState;

/// How long a look is claimed for: longer than a poll may take.
pub const LEASE: Duration = Duration::from_secs(60);

/// Definitions that look by themselves when they are due.
pub trait Looks: Send + Sync + 'static {
    /// Those that are switched on.
    fn ids(definitions: &Definitions) -> Vec<String>;

    /// One of them looks. It was claimed for [`LEASE`]; what it leads to is kept together with when
    /// it is due again, or not at all.
    fn look(&self, claimed: SourceState) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Hands those events on that are new.
pub(super) fn hand_over(inbox: &InboxSender, deliveries: &[Delivery], accepted: &[Accepted]) {
    for (delivery, accepted) in deliveries.iter().zip(accepted) {
        if matches!(accepted, Accepted::New(_)) {
            inbox.put(Arc::clone(&delivery.event));
        }
    }
}
