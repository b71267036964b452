//! Who may stay: this host's connections, held against what the workers' rows say.

use super::hub::Hub;
use crate::model::id::WorkerId;
use crate::model::time::Time;
use crate::model::worker::Dismissal;
use crate::store::{Store, StoreError, commands, workers};

/// Looks at the row of every worker connected here: closes the connections of those that may not
/// stay, and gives or takes the others' leave to work. Counts the closed ones.
///
/// # Errors
/// When the store fails.
pub async fn check(store: &Store, hub: &Hub, now: Time) -> Result<usize, StoreError> {
    let present = hub.presences();
    if present.is_empty() {
        return Ok(0);
    }
    let mut closed = 0;
    for (presence, (worker, standing)) in
        present.iter().zip(workers::standings(store, &present).await?)
    {
        match standing {
            Ok(eligibility) => hub.admit(&worker, eligibility),
            Err(why) => {
                closed += 1;
                hub.expel_from(presence, why.clone());
                take_back(store, hub, &worker, &why, now).await?;
            }
        }
    }
    Ok(closed)
}

/// Closes a worker's connection at once, if it is connected here.
///
/// # Errors
/// When the store fails; the connection is closed then, and what the worker has comes back when its
/// leases run out.
pub async fn dismiss(
    store: &Store,
    hub: &Hub,
    worker: &WorkerId,
    why: Dismissal,
    now: Time,
) -> Result<(), StoreError> {
    hub.expel(worker, why.clone());
    take_back(store, hub, worker, &why, now).await
}

/// What a worker has that will not come back goes to others at once. Only behind its back: while it
/// is in the hub it could be given more.
async fn take_back(
    store: &Store,
    hub: &Hub,
    worker: &WorkerId,
    why: &Dismissal,
    now: Time,
) -> Result<(), StoreError> {
    if matches!(why, Dismissal::Rejected | Dismissal::Revoked)
        && commands::release_others(store, worker, &[], now).await? > 0
    {
        hub.notify();
    }
    Ok(())
}
