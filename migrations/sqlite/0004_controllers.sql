-- Controllers: when each is due, which replica of the host is at it, and how its last pass ended.

CREATE TABLE controllers (
    name        TEXT    NOT NULL PRIMARY KEY,
    -- The replica that has a pass in hand, and when that one is given up for dead.
    holder      TEXT,
    expires_at  INTEGER,
    next_at     INTEGER NOT NULL,
    began_at    INTEGER NOT NULL,
    -- Of the last pass that ended.
    ended_at    INTEGER,
    replica     TEXT,
    result      TEXT,
    error       TEXT,
    items       TEXT    NOT NULL DEFAULT '{}',
    -- Since the store was made.
    passes      INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    CHECK ((holder IS NULL) = (expires_at IS NULL)),
    CHECK ((ended_at IS NULL) = (result IS NULL))
) STRICT, WITHOUT ROWID;

-- For the search for runs that nothing carries on.
CREATE INDEX runs_open ON runs (seq) WHERE status IN ('scheduled', 'running', 'delegated');
