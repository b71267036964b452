-- Dispatch in full: queues by what commands ask of a worker, execution classes, sessions, tasks,
-- run input, events of runs, and the workers with their tokens. `commands` is made anew: one that
-- is a word to a worker belongs to no run.

-- What commands ask of a worker; those that ask the same wait in the same queue. The identifier is
-- made of the other columns.
CREATE TABLE queues (
    id              TEXT    NOT NULL PRIMARY KEY,
    class_id        TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    lane            TEXT,
    policy          TEXT,
    routing         TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Execution classes: how they fare. What runs of them is counted in `commands`.
CREATE TABLE classes (
    id              TEXT    NOT NULL PRIMARY KEY,
    workspace_id    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    lane            TEXT,
    policy          TEXT,
    -- Failed attempts in a row.
    failures        INTEGER NOT NULL DEFAULT 0,
    -- The last of them: a degraded class is left alone for a while from then on.
    failed_at       INTEGER,
    -- When somebody approved it, where its policy asks once.
    approved_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    seq                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    workspace_id        TEXT    NOT NULL,
    key                 TEXT    NOT NULL,
    agent               TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    state_at            INTEGER NOT NULL,
    lease_worker_id     TEXT,
    lease_command_id    TEXT,
    lease_expires_at    INTEGER,
    last_run_id         TEXT,
    created_at          INTEGER NOT NULL,
    UNIQUE (workspace_id, key),
    CHECK ((lease_command_id IS NULL) = (lease_worker_id IS NULL)),
    CHECK ((lease_command_id IS NULL) = (lease_expires_at IS NULL))
) STRICT;
CREATE INDEX sessions_leased ON sessions (lease_expires_at) WHERE lease_command_id IS NOT NULL;

CREATE TABLE tasks (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    label           TEXT,
    session_id      TEXT    NOT NULL,
    priority        TEXT    NOT NULL,
    terms           TEXT    NOT NULL,
    idempotency_key TEXT,
    body_hash       BLOB,
    status          TEXT    NOT NULL,
    -- Its latest run.
    run_id          TEXT    NOT NULL,
    error           TEXT,
    result          TEXT,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    ended_at        INTEGER,
    archived_at     INTEGER,
    CHECK ((idempotency_key IS NULL) = (body_hash IS NULL)),
    CHECK (archived_at IS NULL OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX tasks_of_workspace ON tasks (workspace_id, seq);
CREATE INDEX tasks_of_run ON tasks (run_id);
CREATE UNIQUE INDEX tasks_once ON tasks (workspace_id, agent, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

ALTER TABLE runs ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN session_id TEXT;
ALTER TABLE runs ADD COLUMN interaction TEXT NOT NULL DEFAULT 'working';
ALTER TABLE runs ADD COLUMN result TEXT;
-- How many bytes its log takes up, and whether it says that what follows is left out.
ALTER TABLE runs ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN log_full INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET interaction = 'closed' WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX runs_of_session ON runs (session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX runs_in_session ON runs (session_id, seq)
 WHERE session_id IS NOT NULL AND status IN ('scheduled', 'running');
CREATE INDEX runs_delegated ON runs (task_id) WHERE status = 'delegated';

CREATE TABLE new_commands (
    seq                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    type                TEXT    NOT NULL,
    workspace_id        TEXT    NOT NULL,
    -- NULL for a word to the worker itself.
    run_id              TEXT    REFERENCES runs (id) ON DELETE CASCADE,
    -- A queue's identifier; 'worker/' and a worker's for a word to that worker.
    queue               TEXT    NOT NULL,
    class_id            TEXT,
    -- workspace_id || '/' || agent || '/' || lane
    lane                TEXT,
    session_id          TEXT,
    state               TEXT    NOT NULL,
    attempt             INTEGER NOT NULL,
    dispatch_attempts   INTEGER NOT NULL,
    -- The base of its priority.
    priority            INTEGER NOT NULL,
    on_lost             TEXT    NOT NULL,
    -- What this attempt is asked in place of the run's prompt.
    prompt              TEXT,
    -- What the next attempt is asked, which begins when this one has ended.
    next_prompt         TEXT,
    -- What a word to a worker says, as JSON.
    control             TEXT,
    due_at              INTEGER,
    expires_at          INTEGER,
    after_run_id        TEXT,
    worker_id           TEXT,
    token_hash          BLOB,
    token_prefix        TEXT,
    token_expires_at    INTEGER,
    lease_expires_at    INTEGER,
    cancel_requested_at INTEGER,
    -- How many lines and events of the present holder are stored.
    log_lines           INTEGER NOT NULL,
    events              INTEGER NOT NULL,
    error               TEXT,
    created_at          INTEGER NOT NULL,
    sent_at             INTEGER,
    acknowledged_at     INTEGER,
    started_at          INTEGER,
    ended_at            INTEGER,
    CHECK ((type = 'run') = (control IS NULL)),
    CHECK (type <> 'run' OR (run_id IS NOT NULL AND class_id IS NOT NULL)),
    CHECK ((state IN ('sent', 'acknowledged', 'running')) = (lease_expires_at IS NOT NULL))
) STRICT;
-- A command from before has its old queue's word as a queue of its own.
INSERT INTO queues (id, class_id, workspace_id, agent, routing)
SELECT DISTINCT c.queue, c.queue, r.workspace_id, r.agent, '{}'
  FROM commands c
  JOIN runs r ON r.id = c.run_id;
INSERT INTO classes (id, workspace_id, agent)
SELECT class_id, workspace_id, agent
  FROM queues;
INSERT INTO new_commands
       (seq, id, type, workspace_id, run_id, queue, class_id, state, attempt, dispatch_attempts,
        priority, on_lost, due_at, after_run_id, worker_id, token_hash, token_expires_at,
        lease_expires_at, cancel_requested_at, log_lines, events, created_at, ended_at)
SELECT c.seq, c.id, 'run', r.workspace_id, c.run_id, c.queue, c.queue, c.state, c.attempt,
       c.dispatch_attempts, c.priority, 'requeue', c.due_at, c.after_run_id, c.worker_id,
       c.token_hash, c.created_at + 86400000,
       CASE WHEN c.state IN ('sent', 'running') THEN coalesce(c.lease_expires_at, 0) END,
       c.cancel_requested_at, c.log_lines, 0, c.created_at, c.ended_at
  FROM commands c
  JOIN runs r ON r.id = c.run_id;
DROP TABLE commands;
ALTER TABLE new_commands RENAME TO commands;
CREATE INDEX commands_of_run ON commands (run_id);
CREATE INDEX commands_of_workspace ON commands (workspace_id, seq);
CREATE INDEX commands_by_state ON commands (workspace_id, state, seq);
CREATE INDEX commands_blocked ON commands (class_id) WHERE state = 'blocked';
CREATE INDEX commands_completed ON commands (class_id, ended_at) WHERE state = 'completed';
CREATE INDEX commands_pending ON commands (queue, priority, seq) WHERE state = 'pending';
CREATE INDEX commands_words ON commands (queue) WHERE state = 'pending' AND type <> 'run';
CREATE INDEX commands_active ON commands (class_id)
 WHERE state IN ('sent', 'acknowledged', 'running');
CREATE INDEX commands_leased ON commands (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
CREATE INDEX commands_expiring ON commands (expires_at, state)
 WHERE expires_at IS NOT NULL AND state IN ('pending', 'blocked');
-- Two of one session at once cannot be.
CREATE UNIQUE INDEX commands_in_session ON commands (session_id)
 WHERE session_id IS NOT NULL AND state IN ('sent', 'acknowledged', 'running');

CREATE TABLE run_events (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    kind            TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- What runs were told, and what became of it.
CREATE TABLE run_inputs (
    id              TEXT    NOT NULL PRIMARY KEY,
    workspace_id    TEXT    NOT NULL,
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idempotency_key TEXT,
    body_hash       BLOB,
    mode            TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    into_run_id     TEXT    NOT NULL,
    command_id      TEXT    NOT NULL,
    -- The latest question when it was given: it answers all up to that one.
    asked_seq       INTEGER,
    created_at      INTEGER NOT NULL,
    delivered_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX run_inputs_of_run ON run_inputs (run_id, created_at);
CREATE INDEX run_inputs_of_command ON run_inputs (command_id);
CREATE UNIQUE INDEX run_inputs_once ON run_inputs (run_id, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

-- Questions of programs that wait for an answer; `seq` is the event's that asked.
CREATE TABLE pending_inputs (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             INTEGER NOT NULL,
    prompt          TEXT,
    asked_at        INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    seq                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    -- The only workspace whose agents it may serve; every one when empty.
    workspace_id        TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    approval            TEXT    NOT NULL,
    admin_state         TEXT    NOT NULL,
    health              TEXT    NOT NULL,
    -- An administrator's wish.
    draining            INTEGER NOT NULL,
    -- Its own word, until it comes again.
    leaving             INTEGER NOT NULL,
    agents              TEXT    NOT NULL,
    capacity            INTEGER NOT NULL,
    offer               TEXT    NOT NULL,
    -- NULL when it came with an API key.
    credential_hash     BLOB    UNIQUE,
    credential_prefix   TEXT,
    registered_at       INTEGER NOT NULL,
    last_heartbeat_at   INTEGER,
    -- The connection that is its present one.
    connection          TEXT
) STRICT;

CREATE TABLE bootstrap_tokens (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    hash            BLOB    NOT NULL UNIQUE,
    prefix          TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    uses_left       INTEGER NOT NULL,
    approves        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    revoked_at      INTEGER
) STRICT;
