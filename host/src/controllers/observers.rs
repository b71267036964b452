//! What is watched for observers: queues that are due, and files as long as they are granted.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::looks::looks;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::ingress::{Observers, Queues};
use crate::model::definition::Watch;
use crate::model::id::ObserverId;
use crate::store::Store;

/// Watches until `stop` is called.
pub async fn observers(
    observers: Arc<Observers>,
    store: Store,
    catalog: Catalog,
    clock: Clock,
    stop: CancellationToken,
) {
    let queues = Queues(Arc::clone(&observers));
    tokio::join!(
        looks(queues, store, catalog.clone(), clock, stop.clone()),
        files(observers, catalog, stop),
    );
}

/// Watches files for each observer, beginning anew when what it watches changes.
async fn files(observers: Arc<Observers>, catalog: Catalog, stop: CancellationToken) {
    let mut changes = catalog.changes();
    let mut watched = Watched { observers, stop, tasks: JoinSet::new(), running: HashMap::new() };
    while !watched.stop.is_cancelled() {
        watched.follow();
        tokio::select! {
            () = watched.stop.cancelled() => {}
            Ok(()) = changes.changed() => {}
            Some(_) = watched.tasks.join_next() => {}
        }
    }
    while watched.tasks.join_next().await.is_some() {}
}

struct Watched {
    observers: Arc<Observers>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    running: HashMap<ObserverId, (Watch, CancellationToken)>,
}

impl Watched {
    fn follow(&mut self) {
        let wanted = self.observers.of_files();
        self.running.retain(|id, (watch, stop)| {
            let stays = wanted.iter().any(|one| one.id == *id && one.watch == *watch);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for observer in wanted {
            if self.running.contains_key(&observer.id) {
                continue;
            }
            let stop = self.stop.child_token();
            let task = (observer.watch.clone(), stop.clone());
            self.running.insert(observer.id.clone(), task);
            let observers = Arc::clone(&self.observers);
            self.tasks.spawn(async move { observers.watch_files(&observer, &stop).await });
        }
    }
}
