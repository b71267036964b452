//! Every change of a row that the simulation minds, in the order they were made: triggers of the
//! test's own write it down in the transaction that makes the change. So what passes within one
//! transaction is seen, too, and what is rolled back never was.

use super::eye::Eye;

/// A table, what its rows are called by, and the columns that are minded.
struct Watched {
    table: &'static str,
    id: &'static [&'static str],
    columns: &'static [&'static str],
}

const WATCHED: [Watched; 12] = [
    Watched { table: "events", id: &["id"], columns: &["activated_at", "received_at"] },
    Watched {
        table: "decisions",
        id: &["event_id", "trigger_id"],
        columns: &["outcome", "run_id"],
    },
    Watched {
        table: "runs",
        id: &["id"],
        columns: &[
            "workspace_id",
            "owner_id",
            "event_id",
            "fire_id",
            "status",
            "attempt",
            "task_id",
            "retry",
            "created_at",
            "ended_at",
            "interaction",
            "result",
        ],
    },
    Watched {
        table: "commands",
        id: &["id"],
        columns: &[
            "type",
            "workspace_id",
            "run_id",
            "state",
            "attempt",
            "dispatch_attempts",
            "worker_id",
            "token_hash",
            "token_expires_at",
            "lease_expires_at",
            "session_id",
            "class_id",
            "lane",
            "on_lost",
            "ended_at",
        ],
    },
    Watched {
        table: "tasks",
        id: &["id"],
        columns: &["workspace_id", "status", "run_id", "ended_at", "idempotency_key"],
    },
    Watched {
        table: "sessions",
        id: &["id"],
        columns: &["workspace_id", "lease_command_id", "lease_worker_id", "state"],
    },
    Watched {
        table: "run_inputs",
        id: &["id"],
        columns: &["run_id", "outcome", "into_run_id", "command_id", "delivered_at"],
    },
    Watched { table: "run_logs", id: &["run_id", "seq"], columns: &["run_id"] },
    Watched { table: "run_events", id: &["run_id", "seq"], columns: &["run_id"] },
    Watched { table: "workers", id: &["id"], columns: &["admin_state", "health"] },
    Watched { table: "schedules", id: &["job_id"], columns: &["next_run_at", "set_back_from"] },
    Watched { table: "gatherings", id: &["id"], columns: &["size", "closed"] },
];

const SINCE: &str = "\
SELECT CAST(n AS TEXT) AS place, subject, id, before, after
  FROM sim_journal
 WHERE n > $1
 ORDER BY n";

/// One change of one row. A row that was not there, or is not any more, has no image.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) table: &'static str,
    pub(super) id: String,
    pub(super) before: Option<Image>,
    pub(super) after: Option<Image>,
}

/// What the minded columns of a row held; an empty text where there was nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    columns: &'static [&'static str],
    text: String,
}

impl Image {
    pub(super) fn get(&self, column: &str) -> &str {
        let place = self.columns.iter().position(|known| *known == column);
        let place = place.unwrap_or_else(|| panic!("nobody minds {column}"));
        self.text.split('|').nth(place).unwrap_or_default()
    }

    /// What it held, if anything.
    pub(super) fn find(&self, column: &str) -> Option<String> {
        let found = self.get(column);
        (!found.is_empty()).then(|| found.to_owned())
    }

    /// The same with nothing in these columns.
    pub(super) fn without(&self, columns: &[&str]) -> Self {
        let cells = self.columns.iter().zip(self.text.split('|'));
        let left = |(column, cell)| if columns.contains(column) { "" } else { cell };
        let text = cells.map(left).collect::<Vec<_>>().join("|");
        Self { columns: self.columns, text }
    }

    pub(super) fn number(&self, column: &str) -> i64 {
        self.get(column).parse().unwrap_or_else(|_| panic!("{column} of {self:?} is no number"))
    }
}

pub(super) struct Journal {
    read: i64,
}

impl Journal {
    /// Begins to write down what changes from now on.
    pub(super) async fn begin(eye: &mut Eye) -> Self {
        let statements = if eye.is_sqlite() { sqlite() } else { postgres() };
        eye.execute(&statements).await.unwrap();
        Self { read: 0 }
    }

    /// How far it was read.
    pub(super) fn place(&self) -> i64 {
        self.read
    }

    /// What has changed since it was last read, without reading on.
    pub(super) async fn ahead(&self, eye: &mut Eye) -> Vec<Entry> {
        eye.rows_after(SINCE, self.read).await.into_iter().map(entry).collect()
    }

    /// What has changed since it was last read.
    pub(super) async fn news(&mut self, eye: &mut Eye) -> Vec<Entry> {
        let rows = eye.rows_after(SINCE, self.read).await;
        if let Some(last) = rows.last() {
            self.read = last[0].as_ref().unwrap().parse().unwrap();
        }
        rows.into_iter().map(entry).collect()
    }
}

fn entry(row: Vec<Option<String>>) -> Entry {
    let [_, subject, id, before, after] = <[_; 5]>::try_from(row).unwrap();
    let subject = subject.unwrap();
    let watched = WATCHED.iter().find(|watched| watched.table == subject).unwrap();
    let image = |text: Option<String>| text.map(|text| Image { columns: watched.columns, text });
    Entry { table: watched.table, id: id.unwrap(), before: image(before), after: image(after) }
}

const TABLE_OF_SQLITE: &str = "\
CREATE TABLE sim_journal (
    n       INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    id      TEXT NOT NULL,
    before  TEXT,
    after   TEXT
);";

const TABLE_OF_POSTGRES: &str = "\
CREATE TABLE sim_journal (
    n       BIGSERIAL PRIMARY KEY,
    subject TEXT NOT NULL,
    id      TEXT NOT NULL,
    before  TEXT,
    after   TEXT
);";

fn sqlite() -> String {
    let mut statements = TABLE_OF_SQLITE.to_owned();
    for watched in &WATCHED {
        let Watched { table, columns, .. } = watched;
        let of = columns.join(", ");
        for (when, event, before, after) in [
            ("inserted", "INSERT", None, Some("NEW")),
            ("updated", &*format!("UPDATE OF {of}"), Some("OLD"), Some("NEW")),
            ("deleted", "DELETE", Some("OLD"), None),
        ] {
            let row = after.or(before).unwrap();
            let image = |row: Option<&str>| {
                row.map_or_else(|| "NULL".to_owned(), |row| image(row, columns, Dialect::Sqlite))
            };
            statements += &format!(
                "CREATE TRIGGER sim_{table}_{when} AFTER {event} ON {table} BEGIN
                     INSERT INTO sim_journal (subject, id, before, after)
                     VALUES ('{table}', {}, {}, {});
                 END;\n",
                name(row, watched.id),
                image(before),
                image(after),
            );
        }
    }
    statements
}

fn postgres() -> String {
    let mut statements = TABLE_OF_POSTGRES.to_owned();
    for watched in &WATCHED {
        let Watched { table, columns, .. } = watched;
        let (old, new) =
            (image("OLD", columns, Dialect::Postgres), image("NEW", columns, Dialect::Postgres));
        let (old_name, new_name) = (name("OLD", watched.id), name("NEW", watched.id));
        let of = columns.join(", ");
        statements += &format!(
            "CREATE FUNCTION sim_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF TG_OP = 'INSERT' THEN
                     INSERT INTO sim_journal (subject, id, before, after)
                     VALUES ('{table}', {new_name}, NULL, {new});
                 ELSIF TG_OP = 'UPDATE' THEN
                     INSERT INTO sim_journal (subject, id, before, after)
                     VALUES ('{table}', {new_name}, {old}, {new});
                 ELSE
                     INSERT INTO sim_journal (subject, id, before, after)
                     VALUES ('{table}', {old_name}, {old}, NULL);
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER sim_{table} AFTER INSERT OR DELETE OR UPDATE OF {of} ON {table}
                FOR EACH ROW EXECUTE FUNCTION sim_{table}();\n",
        );
    }
    statements
}

fn name(row: &str, id: &[&str]) -> String {
    let parts: Vec<String> =
        id.iter().map(|column| format!("CAST({row}.{column} AS TEXT)")).collect();
    parts.join(" || '/' || ")
}

#[derive(Clone, Copy)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// The columns of a row as one text.
fn image(row: &str, columns: &[&str], dialect: Dialect) -> String {
    let text = |column: &&str| match (*column, dialect) {
        ("token_hash", Dialect::Sqlite) => format!("hex({row}.token_hash)"),
        ("token_hash", Dialect::Postgres) => format!("upper(encode({row}.token_hash, 'hex'))"),
        // A result may hold anything, the separator included.
        ("result", _) => format!("CAST(length({row}.result) AS TEXT)"),
        (column, _) => format!("CAST({row}.{column} AS TEXT)"),
    };
    let columns = columns.iter().map(|column| format!("coalesce({}, '')", text(column)));
    columns.collect::<Vec<_>>().join(" || '|' || ")
}
