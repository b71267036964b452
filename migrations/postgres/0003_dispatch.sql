-- Dispatch in full: queues by what commands ask of a worker, execution classes, sessions, tasks,
-- run input, events of runs, and the workers with their tokens. A command that is a word to a worker
-- belongs to no run.

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
);

-- Execution classes: how they fare. What runs of them is counted in `commands`.
CREATE TABLE classes (
    id              TEXT    NOT NULL PRIMARY KEY,
    workspace_id    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    lane            TEXT,
    policy          TEXT,
    -- Failed attempts in a row.
    failures        BIGINT  NOT NULL DEFAULT 0,
    -- The last of them: a degraded class is left alone for a while from then on.
    failed_at       BIGINT ,
    -- When somebody approved it, where its policy asks once.
    approved_at     BIGINT 
);

CREATE TABLE sessions (
    seq                 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    workspace_id        TEXT    NOT NULL,
    key                 TEXT    NOT NULL,
    agent               TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    state_at            BIGINT  NOT NULL,
    lease_worker_id     TEXT,
    lease_command_id    TEXT,
    lease_expires_at    BIGINT ,
    last_run_id         TEXT,
    created_at          BIGINT  NOT NULL,
    UNIQUE (workspace_id, key),
    CHECK ((lease_command_id IS NULL) = (lease_worker_id IS NULL)),
    CHECK ((lease_command_id IS NULL) = (lease_expires_at IS NULL))
);
CREATE INDEX sessions_leased ON sessions (lease_expires_at) WHERE lease_command_id IS NOT NULL;

CREATE TABLE tasks (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    agent           TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    label           TEXT,
    session_id      TEXT    NOT NULL,
    priority        TEXT    NOT NULL,
    terms           TEXT    NOT NULL,
    idempotency_key TEXT,
    body_hash       BYTEA,
    status          TEXT    NOT NULL,
    -- Its latest run.
    run_id          TEXT    NOT NULL,
    error           TEXT,
    result          TEXT,
    created_at      BIGINT  NOT NULL,
    started_at      BIGINT ,
    ended_at        BIGINT ,
    archived_at     BIGINT ,
    CHECK ((idempotency_key IS NULL) = (body_hash IS NULL)),
    CHECK (archived_at IS NULL OR ended_at IS NOT NULL)
);
CREATE INDEX tasks_of_workspace ON tasks (workspace_id, seq);
CREATE INDEX tasks_of_run ON tasks (run_id);
CREATE UNIQUE INDEX tasks_once ON tasks (workspace_id, agent, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

ALTER TABLE runs ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN session_id TEXT;
ALTER TABLE runs ADD COLUMN interaction TEXT NOT NULL DEFAULT 'working';
ALTER TABLE runs ADD COLUMN result TEXT;
-- How many bytes its log takes up, and whether it says that what follows is left out.
ALTER TABLE runs ADD COLUMN log_bytes BIGINT  NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN log_full BIGINT NOT NULL DEFAULT 0;
UPDATE runs SET interaction = 'closed' WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX runs_of_session ON runs (session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX runs_in_session ON runs (session_id, seq)
 WHERE session_id IS NOT NULL AND status IN ('scheduled', 'running');
CREATE INDEX runs_delegated ON runs (task_id) WHERE status = 'delegated';

-- A command from before has its old queue's word as a queue of its own.
INSERT INTO queues (id, class_id, workspace_id, agent, routing)
SELECT DISTINCT c.queue, c.queue, r.workspace_id, r.agent, '{}'
  FROM commands c
  JOIN runs r ON r.id = c.run_id;
INSERT INTO classes (id, workspace_id, agent)
SELECT class_id, workspace_id, agent
  FROM queues;
ALTER TABLE commands
    ADD COLUMN type                TEXT    NOT NULL DEFAULT 'run',
    ADD COLUMN workspace_id        TEXT    NOT NULL DEFAULT '',
    ADD COLUMN class_id            TEXT,
    -- workspace_id || '/' || agent || '/' || lane
    ADD COLUMN lane                TEXT,
    ADD COLUMN session_id          TEXT,
    ADD COLUMN on_lost             TEXT    NOT NULL DEFAULT 'requeue',
    -- What this attempt is asked in place of the run's prompt.
    ADD COLUMN prompt              TEXT,
    -- What the next attempt is asked, which begins when this one has ended.
    ADD COLUMN next_prompt         TEXT,
    -- What a word to a worker says, as JSON.
    ADD COLUMN control             TEXT,
    ADD COLUMN expires_at          BIGINT,
    ADD COLUMN token_prefix        TEXT,
    ADD COLUMN token_expires_at    BIGINT,
    ADD COLUMN events              BIGINT  NOT NULL DEFAULT 0,
    ADD COLUMN error               TEXT,
    ADD COLUMN sent_at             BIGINT,
    ADD COLUMN acknowledged_at     BIGINT,
    ADD COLUMN started_at          BIGINT;
-- NULL for a word to the worker itself.
ALTER TABLE commands ALTER COLUMN run_id DROP NOT NULL;
UPDATE commands c
   SET workspace_id = r.workspace_id, class_id = c.queue,
       token_expires_at = c.created_at + 86400000,
       lease_expires_at = CASE WHEN c.state IN ('sent', 'running')
                               THEN coalesce(c.lease_expires_at, 0) END
  FROM runs r
 WHERE r.id = c.run_id;
ALTER TABLE commands
    ADD CHECK ((type = 'run') = (control IS NULL)),
    ADD CHECK (type <> 'run' OR (run_id IS NOT NULL AND class_id IS NOT NULL)),
    ADD CHECK ((state IN ('sent', 'acknowledged', 'running')) = (lease_expires_at IS NOT NULL));
DROP INDEX commands_pending;
CREATE INDEX commands_of_workspace ON commands (workspace_id, seq);
CREATE INDEX commands_by_state ON commands (workspace_id, state, seq);
CREATE INDEX commands_blocked ON commands (class_id) WHERE state = 'blocked';
CREATE INDEX commands_completed ON commands (class_id, ended_at) WHERE state = 'completed';
CREATE INDEX commands_pending ON commands (queue, priority, seq) WHERE state = 'pending';
CREATE INDEX commands_words ON commands (queue) WHERE state = 'pending' AND type <> 'run';
CREATE INDEX commands_active ON commands (class_id)
 WHERE state IN ('sent', 'acknowledged', 'running');
CREATE INDEX commands_expiring ON commands (expires_at, state)
 WHERE expires_at IS NOT NULL AND state IN ('pending', 'blocked');
-- Two of one session at once cannot be.
CREATE UNIQUE INDEX commands_in_session ON commands (session_id)
 WHERE session_id IS NOT NULL AND state IN ('sent', 'acknowledged', 'running');

CREATE TABLE run_events (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             BIGINT  NOT NULL,
    at              BIGINT  NOT NULL,
    kind            TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    PRIMARY KEY (run_id, seq)
);

-- What runs were told, and what became of it.
CREATE TABLE run_inputs (
    id              TEXT    NOT NULL PRIMARY KEY,
    workspace_id    TEXT    NOT NULL,
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    idempotency_key TEXT,
    body_hash       BYTEA,
    mode            TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    into_run_id     TEXT    NOT NULL,
    command_id      TEXT    NOT NULL,
    -- The latest question when it was given: it answers all up to that one.
    asked_seq       BIGINT,
    created_at      BIGINT  NOT NULL,
    delivered_at    BIGINT 
);
CREATE INDEX run_inputs_of_run ON run_inputs (run_id, created_at);
CREATE INDEX run_inputs_of_command ON run_inputs (command_id);
CREATE UNIQUE INDEX run_inputs_once ON run_inputs (run_id, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

-- Questions of programs that wait for an answer; `seq` is the event's that asked.
CREATE TABLE pending_inputs (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq             BIGINT  NOT NULL,
    prompt          TEXT,
    asked_at        BIGINT  NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE workers (
    seq                 BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    -- The only workspace whose agents it may serve; every one when empty.
    workspace_id        TEXT    NOT NULL,
    name                TEXT    NOT NULL,
    approval            TEXT    NOT NULL,
    admin_state         TEXT    NOT NULL,
    health              TEXT    NOT NULL,
    -- An administrator's wish.
    draining            BIGINT  NOT NULL,
    -- Its own word, until it comes again.
    leaving             BIGINT  NOT NULL,
    agents              TEXT    NOT NULL,
    capacity            BIGINT  NOT NULL,
    offer               TEXT    NOT NULL,
    -- NULL when it came with an API key.
    credential_hash     BYTEA   UNIQUE,
    credential_prefix   TEXT,
    registered_at       BIGINT  NOT NULL,
    last_heartbeat_at   BIGINT,
    -- The connection that is its present one.
    connection          TEXT
);

CREATE TABLE bootstrap_tokens (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    hash            BYTEA   NOT NULL UNIQUE,
    prefix          TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    uses_left       BIGINT  NOT NULL,
    approves        BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    expires_at      BIGINT  NOT NULL,
    revoked_at      BIGINT 
);
