//! Tests that take all of the machine take turns, so that each finds out what it is to find out.

use tokio::sync::{Mutex, MutexGuard};

/// Waits for the others that ask for this, and keeps them waiting.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
