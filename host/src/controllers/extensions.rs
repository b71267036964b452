//! Extensions that are due.

use tokio_util::sync::CancellationToken;

use super::looks::looks;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::ingress::Extensions;
use crate::store::Store;

/// Polls extensions until `stop` is called.
pub async fn extensions(
    extensions: Extensions,
    store: Store,
    catalog: Catalog,
    clock: Clock,
    stop: CancellationToken,
) {
    looks(extensions, store, catalog, clock, stop).await;
}
