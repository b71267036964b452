//! What other replicas of the host have made, so that it goes out without waiting for a look.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::dispatch::hub::Hub;
use crate::store::listen::Hints;
use crate::store::{Store, StoreError};

/// How long to wait for a database that does not let us listen.
const PAUSE: Duration = Duration::from_secs(2);

/// Passes other replicas' hints on to the hub until `stop` is called.
pub async fn hints(store: Store, hub: Hub, stop: CancellationToken) {
    let listen = async {
        while let Err(error) = pass_on(&store, &hub).await {
            tracing::warn!(
                %error,
                "failed to listen to other replicas; dispatch may lag by a second"
            );
            sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(listen).await;
}

/// Comes back when there is nobody to listen to.
async fn pass_on(store: &Store, hub: &Hub) -> Result<(), StoreError> {
    let Some(mut hints) = Hints::open(store).await? else { return Ok(()) };
    loop {
        // What was said before we listened, too.
        hub.notify();
        hints.next().await?;
    }
}
