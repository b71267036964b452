//! The way out that the host shows to a worker's connection.

use tokio::sync::watch;

use crate::model::worker::Dismissal;

/// Tells whoever keeps a connection that its worker may not stay, and why. Clones are the same exit.
#[derive(Clone, Debug, Default)]
pub struct Exit(watch::Sender<Option<Dismissal>>);

impl Exit {
    /// Shows the way out.
    pub fn show(&self, why: Dismissal) {
        self.0.send_replace(Some(why));
    }

    /// Waits until the way out is shown.
    pub async fn shown(&self) -> Dismissal {
        let mut shown = self.0.subscribe();
        // This end keeps the channel open: it does not fail.
        let why = shown.wait_for(Option::is_some).await.map(|why| why.clone());
        why.ok().flatten().unwrap_or(Dismissal::Replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exit_is_shown_to_who_looks_before_and_after() {
        let exit = Exit::default();
        let (early, ()) = tokio::join!(exit.shown(), async { exit.show(Dismissal::Revoked) });
        assert_eq!(early, Dismissal::Revoked);
        assert_eq!(exit.clone().shown().await, Dismissal::Revoked);
    }
}
