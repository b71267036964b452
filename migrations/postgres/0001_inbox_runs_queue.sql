-- Times are milliseconds since the Unix epoch. An empty workspace_id is the global scope.
-- Rows are keyed by an integer in order of arrival; the text id stands beside it.

CREATE TABLE events (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    webhook_id      TEXT    NOT NULL,
    endpoint        TEXT    NOT NULL,
    occurred_at     BIGINT  NOT NULL,
    received_at     BIGINT  NOT NULL,
    origin          TEXT    NOT NULL,
    verified        TEXT,
    depth           BIGINT  NOT NULL,
    causes          TEXT    NOT NULL,
    traceparent     TEXT,
    activated_at    BIGINT
);
CREATE INDEX events_of_workspace ON events (workspace_id, seq);
CREATE INDEX events_to_activate ON events (seq) WHERE activated_at IS NULL;

-- Apart from the events, so that marking one activated does not write its body again. Both are
-- LZ4 blocks behind their size.
CREATE TABLE bodies (
    event_seq       BIGINT  PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    body            BYTEA   NOT NULL,
    -- NULL: the body is the data.
    data            BYTEA
);

-- What an event is recognised by. Small rows: they are found at random, and every page that one
-- lies on is written. Whoever deletes an event deletes its rows here.
CREATE TABLE dedupe (
    -- The first half of the SHA-256 of endpoint and identity.
    identity        BYTEA   NOT NULL PRIMARY KEY,
    event_seq       BIGINT  NOT NULL,
    seen_at         BIGINT  NOT NULL
);

CREATE TABLE decisions (
    event_id        TEXT    NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    trigger_id      TEXT    NOT NULL,
    trigger_name    TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    reason          TEXT,
    run_id          TEXT,
    at              BIGINT  NOT NULL,
    PRIMARY KEY (event_id, trigger_id)
);

CREATE TABLE runs (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    trigger_id      TEXT    NOT NULL,
    trigger_name    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    prompt          TEXT    NOT NULL,
    stages          TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    attempt         BIGINT  NOT NULL,
    error           TEXT,
    created_at      BIGINT  NOT NULL,
    started_at      BIGINT,
    ended_at        BIGINT,
    UNIQUE (event_id, trigger_id)
);
CREATE INDEX runs_of_workspace ON runs (workspace_id, seq);

CREATE TABLE commands (
    seq                 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    run_id              TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    -- workspace_id || '/' || agent: who may claim it.
    queue               TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    attempt             BIGINT  NOT NULL,
    dispatch_attempts   BIGINT  NOT NULL,
    worker_id           TEXT,
    token_hash          BYTEA,
    lease_expires_at    BIGINT,
    cancel_requested_at BIGINT,
    -- How many lines of the present holder are stored.
    log_lines           BIGINT  NOT NULL,
    created_at          BIGINT  NOT NULL,
    ended_at            BIGINT
);
CREATE INDEX commands_of_run ON commands (run_id);
CREATE INDEX commands_pending ON commands (queue, seq) WHERE state = 'pending';
CREATE INDEX commands_leased ON commands (lease_expires_at) WHERE lease_expires_at IS NOT NULL;

CREATE TABLE run_logs (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             BIGINT  NOT NULL,
    at              BIGINT  NOT NULL,
    stream          TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE keys (
    hash            BYTEA   NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    role            TEXT    NOT NULL,
    created_at      BIGINT  NOT NULL
);
