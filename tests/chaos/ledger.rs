//! What was accepted and what was seen, held against what the store has at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use sqlx::{Connection as _, Row as _};

use super::senders::Sent;
use super::site::Site;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What went wrong, and how often.
    pub(super) mishaps: BTreeMap<&'static str, u32>,
    /// What had ended when somebody looked, and how.
    ended: BTreeMap<String, String>,
    /// What had ended and ended in another way later.
    changed: BTreeSet<String>,
    accepted: usize,
    duplicates: u64,
    failures: u64,
    /// Deliveries that were answered with an event that is not there.
    lost: Vec<u64>,
    events: i64,
    runs: i64,
    attempts: i64,
    /// Events and triggers with more or less than one run.
    pairs_amiss: i64,
    /// Runs and commands that do not agree.
    at_odds: i64,
    outcomes: BTreeMap<String, i64>,
}

/// Each run and command that has ended, and how.
const ENDED: &str = "\
SELECT id, status || ' ' || ended_at || ' ' || coalesce(error, '') AS how
  FROM runs
 WHERE ended_at IS NOT NULL
 UNION ALL
SELECT id, state || ' ' || ended_at
  FROM commands
 WHERE ended_at IS NOT NULL";

const PAIRS_AMISS: &str = "\
SELECT count(*)
  FROM events e
 CROSS JOIN (VALUES ('one'), ('other')) AS t (name)
 WHERE 1 <> (SELECT count(*)
               FROM runs r
              WHERE r.event_id = e.id
                AND r.owner_name = t.name)";

const AT_ODDS: &str = "\
SELECT count(*)
  FROM runs r
 WHERE EXISTS (SELECT 1
                 FROM commands c
                WHERE c.run_id = r.id
                  AND c.ended_at IS NULL)
    OR r.attempt > (SELECT count(*) FROM commands c WHERE c.run_id = r.id AND c.type = 'run')";

impl Ledger {
    /// Notes what has ended, and what is not as it was.
    pub(super) async fn look(&mut self, site: &Site) -> &'static str {
        let mut connection = site.connection().await;
        let rows = sqlx::query(ENDED).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        for row in rows {
            let (id, how): (String, String) = (row.get("id"), row.get("how"));
            if self.ended.insert(id.clone(), how.clone()).is_some_and(|before| before != how) {
                self.changed.insert(id);
            }
        }
        "looks"
    }

    pub(super) async fn close(&mut self, site: &Site, sent: &Sent) {
        self.look(site).await;
        let mut connection = site.connection().await;
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM events").fetch_all(&mut connection).await.unwrap();
        let ids: BTreeSet<String> = ids.into_iter().collect();
        let lost = sent.accepted.iter().filter(|(_, id)| !ids.contains(*id));
        self.lost = lost.map(|(number, _)| *number).collect();
        (self.accepted, self.duplicates, self.failures) =
            (sent.accepted.len(), sent.duplicates, sent.failures);
        let mut count = async |query: &'static str| -> i64 {
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        };
        self.events = count("SELECT count(*) FROM events").await;
        self.runs = count("SELECT count(*) FROM runs").await;
        self.attempts =
            count("SELECT coalesce(sum(dispatch_attempts), 0)::bigint FROM commands").await;
        self.pairs_amiss = count(PAIRS_AMISS).await;
        self.at_odds = count(AT_ODDS).await;
        let outcomes = sqlx::query("SELECT status, count(*) AS runs FROM runs GROUP BY status");
        for row in outcomes.fetch_all(&mut connection).await.unwrap() {
            self.outcomes.insert(row.get("status"), row.get("runs"));
        }
    }

    /// To the terminal, whether the test passes or not.
    pub(super) fn print(&self, seed: u64) {
        let Self { mishaps, accepted, duplicates, failures, runs, attempts, outcomes, .. } = self;
        let _ = writeln!(
            std::io::stderr(),
            "ledger (chaos, seed {seed}): accepted {accepted}, runs {runs}, attempts {attempts}, \
             duplicates refused {duplicates}, tries without an answer {failures}, lost {}, \
             changed after their end {}, ended {outcomes:?}; {mishaps:?}",
            self.lost.len(),
            self.changed.len(),
        );
    }

    pub(super) fn check(&self) {
        assert!(self.accepted > 100, "there was a load: {self:?}");
        assert!(self.lost.is_empty(), "lost: {:?}", self.lost);
        assert!(self.changed.is_empty(), "changed: {:?}", self.changed);
        assert_eq!((self.pairs_amiss, self.at_odds), (0, 0), "{:?}", self.outcomes);
        // What was never answered may be there, too, but only once.
        assert!(self.events >= i64::try_from(self.accepted).unwrap());
        assert_eq!(self.runs, 2 * self.events);
    }
}
