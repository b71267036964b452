//! What is defined at present, for everything that works by it. A change replaces the whole: who
//! has begun with the old definitions ends with them.

use std::sync::Arc;

use tokio::sync::watch;

use crate::model::definition::Definitions;

/// The present definitions.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<watch::Sender<Arc<Definitions>>>);

impl Catalog {
    /// Begins with these.
    pub fn new(definitions: Definitions) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(definitions))))
    }

    /// The definitions as they are now.
    pub fn now(&self) -> Arc<Definitions> {
        Arc::clone(&self.0.borrow())
    }

    /// Replaces them.
    pub fn replace(&self, definitions: Definitions) {
        self.0.send_replace(Arc::new(definitions));
    }

    /// Tells of each change from now on.
    pub fn changes(&self) -> watch::Receiver<Arc<Definitions>> {
        self.0.subscribe()
    }
}
