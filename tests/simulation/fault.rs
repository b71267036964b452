//! What goes wrong with one operation on the store.
//!
//! ```text
//! statement  the transaction fails at its so-manieth change      a trigger of the test's raises
//! commit     everything is done, and the commit fails            it owes a row that is not there
//! answer     it is committed, and whoever asked never hears of it
//! ```
//! The first two are the database's own failures: nothing of the host is changed for them.

use super::dice::Dice;
use super::eye::Eye;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Statement { after_changes: u64 },
    Commit,
    Answer,
}

/// One operation in so many fails.
const ONE_IN: u32 = 60;

impl Fault {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        if !dice.once_in(ONE_IN) {
            return Self::None;
        }
        match dice.between(0, 3) {
            0 => Self::Statement { after_changes: dice.between(0, 4) },
            1 => Self::Commit,
            _ => Self::Answer,
        }
    }

    /// Whether the transaction itself is to fail.
    pub(super) fn is_the_databases(self) -> bool {
        matches!(self, Self::Statement { .. } | Self::Commit)
    }

    /// Has the next transaction fail, behind so many entries of the journal.
    pub(super) async fn arm(self, eye: &mut Eye, place: i64) {
        let (kind, after) = match self {
            Self::None | Self::Answer => return,
            Self::Statement { after_changes } => ("statement", place + after_changes as i64),
            Self::Commit => ("commit", place),
        };
        let insert = format!("INSERT INTO sim_fault (kind, place) VALUES ('{kind}', {after})");
        eye.execute(&insert).await.unwrap();
    }

    pub(super) async fn disarm(self, eye: &mut Eye) {
        if self.is_the_databases() {
            eye.execute("DELETE FROM sim_fault").await.unwrap();
        }
    }

    /// Makes it possible for transactions to fail. The journal comes first.
    pub(super) async fn prepare(eye: &mut Eye) {
        eye.execute(TABLES).await.unwrap();
        let triggers = if eye.is_sqlite() { TRIGGERS_OF_SQLITE } else { TRIGGERS_OF_POSTGRES };
        eye.execute(triggers).await.unwrap();
    }
}

// Whether a debt has its creditor is looked at when the transaction is committed.
const TABLES: &str = "\
CREATE TABLE sim_fault (kind TEXT NOT NULL, place BIGINT NOT NULL);
CREATE TABLE sim_creditor (id BIGINT PRIMARY KEY);
CREATE TABLE sim_debt (
    creditor BIGINT NOT NULL REFERENCES sim_creditor (id) DEFERRABLE INITIALLY DEFERRED
);";

const TRIGGERS_OF_SQLITE: &str = "\
CREATE TRIGGER sim_fail AFTER INSERT ON sim_journal
  WHEN EXISTS (SELECT 1 FROM sim_fault WHERE kind = 'statement' AND NEW.n > place)
 BEGIN
    SELECT RAISE(ABORT, 'a fault of the simulation');
 END;
CREATE TRIGGER sim_owe AFTER INSERT ON sim_journal
  WHEN EXISTS (SELECT 1 FROM sim_fault WHERE kind = 'commit')
 BEGIN
    INSERT INTO sim_debt (creditor) VALUES (1);
 END;";

const TRIGGERS_OF_POSTGRES: &str = "\
CREATE FUNCTION sim_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT 1 FROM sim_fault WHERE kind = 'statement' AND NEW.n > place) THEN
        RAISE EXCEPTION 'a fault of the simulation';
    END IF;
    IF EXISTS (SELECT 1 FROM sim_fault WHERE kind = 'commit') THEN
        INSERT INTO sim_debt (creditor) VALUES (1);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sim_fail AFTER INSERT ON sim_journal
   FOR EACH ROW EXECUTE FUNCTION sim_fail();";
