//! What a transaction brings about, kept until it is committed: one that is rolled back has brought
//! nothing about, and is applied again.
//!
//! It goes with the task and not with the transaction, so that only those who have something to
//! count need to know of it.

use std::cell::RefCell;

use crate::metrics::{Fact, Metrics};

tokio::task_local! {
    static FACTS: RefCell<Vec<Fact>>;
}

/// Facts to count, if the work that brought them about is committed.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Tally(Vec<Fact>);

impl Tally {
    /// Counts them: the work is committed.
    pub(super) fn count(self, metrics: &Metrics) {
        self.0.into_iter().for_each(|fact| metrics.count(fact));
    }
}

/// Does work within a transaction, and gives what it noted beside what it gave.
pub(super) async fn kept<T>(work: impl Future<Output = T>) -> (T, Tally) {
    let keeping = async {
        let done = work.await;
        (done, Tally(FACTS.with(RefCell::take)))
    };
    FACTS.scope(RefCell::default(), keeping).await
}

/// Notes a fact of the transaction that is under way.
pub(super) fn note(fact: Fact) {
    // Outside of a write nothing is brought about.
    let _ = FACTS.try_with(|facts| facts.borrow_mut().push(fact));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Form;
    use crate::model::run::OwnerKind;

    async fn work(metrics: &Metrics, commit: bool) {
        let made = Fact::RunsMade { owner: OwnerKind::Trigger, count: 2 };
        let ((), tally) = kept(async { note(made) }).await;
        if commit {
            tally.count(metrics);
        }
    }

    #[tokio::test]
    async fn only_what_is_committed_counts() {
        let metrics = Metrics::default();
        work(&metrics, false).await;
        work(&metrics, true).await;
        note(Fact::RunRetried);
        let text = metrics.text(Form::Plain);
        assert!(text.contains("hillock_runs_created_total{owner=\"trigger\"} 2\n"), "{text}");
        assert!(text.contains("hillock_run_retries_total 0\n"), "{text}");
    }
}
