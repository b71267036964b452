-- Times are milliseconds since the Unix epoch. An empty workspace_id is the global scope.
-- Rows are keyed by an integer in order of arrival; the text id stands beside it.

CREATE TABLE events (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    endpoint        TEXT    NOT NULL,
    occurred_at     INTEGER NOT NULL,
    received_at     INTEGER NOT NULL,
    origin          TEXT    NOT NULL,
    verified        TEXT,
    depth           INTEGER NOT NULL,
    causes          TEXT    NOT NULL,
    traceparent     TEXT,
    activated_at    INTEGER
) STRICT;
CREATE INDEX events_of_workspace ON events (workspace_id, seq);
CREATE INDEX events_to_activate ON events (seq) WHERE activated_at IS NULL;

-- Apart from the events, so that marking one activated does not write its body again. Both are
-- LZ4 blocks behind their size.
CREATE TABLE bodies (
    event_seq       INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    body            BLOB    NOT NULL,
    -- NULL: the body is the data.
    data            BLOB
) STRICT;

-- What an event is recognised by. Small rows: they are found at random, and every page that one
-- lies on is written. Whoever deletes an event deletes its rows here.
CREATE TABLE dedupe (
    -- The first half of the SHA-256 of endpoint and identity.
    identity        BLOB    NOT NULL PRIMARY KEY,
    event_seq       INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    event_id        TEXT    NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    trigger_id      TEXT    NOT NULL,
    trigger_name    TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    reason          TEXT,
    run_id          TEXT,
    at              INTEGER NOT NULL,
    PRIMARY KEY (event_id, trigger_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    trigger_id      TEXT    NOT NULL,
    trigger_name    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    prompt          TEXT    NOT NULL,
    stages          TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    attempt         INTEGER NOT NULL,
    error           TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    UNIQUE (event_id, trigger_id)
) STRICT;
CREATE INDEX runs_of_workspace ON runs (workspace_id, seq);

CREATE TABLE commands (
    seq                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    run_id              TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    -- workspace_id || '/' || agent: who may claim it.
    queue               TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    attempt             INTEGER NOT NULL,
    dispatch_attempts   INTEGER NOT NULL,
    worker_id           TEXT,
    token_hash          BLOB,
    lease_expires_at    INTEGER,
    cancel_requested_at INTEGER,
    -- How many lines of the present holder are stored.
    log_lines           INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    ended_at            INTEGER
) STRICT;
CREATE INDEX commands_of_run ON commands (run_id);
CREATE INDEX commands_pending ON commands (queue, seq) WHERE state = 'pending';
CREATE INDEX commands_leased ON commands (lease_expires_at) WHERE lease_expires_at IS NOT NULL;

CREATE TABLE run_logs (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    stream          TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    hash            BLOB    NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    role            TEXT    NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
