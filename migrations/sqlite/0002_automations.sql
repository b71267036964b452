-- Definitions with their schedules, the sources beside webhooks, and runs of more than triggers.
-- Tables whose columns change are made anew; foreign keys are off meanwhile.

-- What is defined. `spec` is the definition as its author wrote it, as JSON.
CREATE TABLE definitions (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    -- The definition's own word; an overlay goes before it.
    enabled         INTEGER NOT NULL,
    overlay         INTEGER,
    spec            TEXT    NOT NULL,
    -- What of it is looked up: the agent that it names, the endpoint that it listens to, and the
    -- slug that it answers at, which is nobody else's.
    agent           TEXT,
    endpoint        TEXT,
    slug            TEXT,
    revision        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (workspace_id, kind, name),
    UNIQUE (workspace_id, slug)
) STRICT;
CREATE INDEX definitions_of_workspace ON definitions (kind, workspace_id, seq);
CREATE INDEX definitions_of_agent ON definitions (workspace_id, agent) WHERE agent IS NOT NULL;

-- Raised with every change of a definition, so that each replica notices.
CREATE TABLE definitions_revision (
    one             INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision        INTEGER NOT NULL
) STRICT;
INSERT INTO definitions_revision (one, revision) VALUES (1, 0);

-- Who listens to what of the host's own life: a point is told only when somebody does. Patterns
-- are those of triggers (`hook.run.failed`, `hook.*`); hooks and observers have theirs.
CREATE TABLE listeners (
    workspace_id    TEXT    NOT NULL,
    pattern         TEXT    NOT NULL,
    definition_id   TEXT    NOT NULL REFERENCES definitions (id) ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, pattern, definition_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX listeners_of_definition ON listeners (definition_id);

-- Points of the host's own life that wait to become events.
CREATE TABLE notices (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    point           TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    depth           INTEGER NOT NULL,
    causes          TEXT    NOT NULL,
    at              INTEGER NOT NULL
) STRICT;

-- Where each enabled job's schedule stands.
CREATE TABLE schedules (
    job_id                      TEXT    NOT NULL PRIMARY KEY
                                        REFERENCES definitions (id) ON DELETE CASCADE,
    workspace_id                TEXT    NOT NULL,
    -- The next slot; NULL when there is none any more.
    next_run_at                 INTEGER,
    -- The same with the job's own offset: when the scheduler is to look.
    due_at                      INTEGER,
    anchored_at                 INTEGER NOT NULL,
    last_run_at                 INTEGER,
    last_scheduled_at           INTEGER,
    last_fire_id                TEXT,
    schedule_hash               TEXT    NOT NULL,
    catch_up_policy             TEXT    NOT NULL,
    misfire_grace_seconds       INTEGER NOT NULL,
    consecutive_resume_failures INTEGER NOT NULL,
    last_misfire_at             INTEGER,
    misfire_count               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;

-- What observers and extensions remember.
CREATE TABLE source_states (
    definition_id   TEXT    NOT NULL PRIMARY KEY REFERENCES definitions (id) ON DELETE CASCADE,
    cursor          TEXT,
    state           TEXT    NOT NULL,
    revision        INTEGER NOT NULL,
    -- The revision of the definition; a newer one makes it due at once.
    follows         INTEGER NOT NULL,
    next_at         INTEGER,
    last_at         INTEGER,
    failures        INTEGER NOT NULL,
    last_error      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX source_states_due ON source_states (next_at) WHERE next_at IS NOT NULL;

-- Bursts and batches that wait, and the events in them. Events join the open one of their trigger
-- and key; a closed one is complete, and fires once it is due.
CREATE TABLE gatherings (
    id              TEXT    NOT NULL PRIMARY KEY,
    trigger_id      TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    first_at        INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    size            INTEGER NOT NULL,
    closed          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX gatherings_open ON gatherings (trigger_id, key) WHERE closed = 0;
CREATE INDEX gatherings_due ON gatherings (due_at);
CREATE TABLE gathered (
    gathering_id    TEXT    NOT NULL,
    event_seq       INTEGER NOT NULL,
    event_id        TEXT    NOT NULL,
    PRIMARY KEY (gathering_id, event_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE new_events (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    -- The endpoint with its slug; or the hook, observer or extension with its name.
    producer_id     TEXT    NOT NULL,
    producer        TEXT    NOT NULL,
    occurred_at     INTEGER NOT NULL,
    received_at     INTEGER NOT NULL,
    origin          TEXT    NOT NULL,
    verified        TEXT,
    depth           INTEGER NOT NULL,
    causes          TEXT    NOT NULL,
    traceparent     TEXT,
    activated_at    INTEGER,
    -- How often it came again.
    repeats         INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO new_events
       (seq, id, workspace_id, kind, source, producer_id, producer, occurred_at, received_at,
        origin, verified, depth, causes, traceparent, activated_at)
SELECT seq, id, workspace_id, kind, source, webhook_id, endpoint, occurred_at, received_at, origin,
       verified, depth, causes, traceparent, activated_at
  FROM events;
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX events_of_workspace ON events (workspace_id, seq);
CREATE INDEX events_to_activate ON events (seq) WHERE activated_at IS NULL;

ALTER TABLE decisions ADD COLUMN retry_at INTEGER;

CREATE TABLE new_runs (
    seq                 INTEGER PRIMARY KEY,
    id                  TEXT    NOT NULL UNIQUE,
    workspace_id        TEXT    NOT NULL,
    -- The trigger's or the job's.
    owner_kind          TEXT    NOT NULL,
    owner_id            TEXT    NOT NULL,
    owner_name          TEXT    NOT NULL,
    event_id            TEXT,
    fire_id             TEXT    UNIQUE,
    scheduled_at        INTEGER,
    agent               TEXT    NOT NULL,
    prompt              TEXT    NOT NULL,
    untrusted_content   TEXT    NOT NULL,
    task                TEXT,
    priority            TEXT    NOT NULL,
    retry               TEXT    NOT NULL,
    depth               INTEGER NOT NULL,
    causes              TEXT    NOT NULL,
    stages              TEXT    NOT NULL,
    status              TEXT    NOT NULL,
    attempt             INTEGER NOT NULL,
    due_at              INTEGER,
    error               TEXT,
    delivery_error      TEXT,
    delivery_error_at   INTEGER,
    task_id             TEXT,
    task_run_id         TEXT,
    created_at          INTEGER NOT NULL,
    started_at          INTEGER,
    ended_at            INTEGER,
    UNIQUE (event_id, owner_id),
    CHECK ((delivery_error IS NULL) = (delivery_error_at IS NULL)),
    CHECK (status <> 'delegated' OR (task_id IS NOT NULL AND task_run_id IS NOT NULL)),
    CHECK (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at)
) STRICT;
INSERT INTO new_runs
       (seq, id, workspace_id, owner_kind, owner_id, owner_name, event_id, agent, prompt,
        untrusted_content, priority, retry, depth, causes, stages, status, attempt, error,
        created_at, started_at, ended_at)
SELECT seq, id, workspace_id, 'trigger', trigger_id, trigger_name, event_id, agent, prompt,
       'unfenced', 'normal', '{"mode":"none"}', 0, '[]', stages, status, attempt, error,
       created_at, started_at, max(ended_at, coalesce(started_at, ended_at))
  FROM runs;
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;
CREATE INDEX runs_of_workspace ON runs (workspace_id, seq);
-- For fire limits, and for what of a job has not ended.
CREATE INDEX runs_of_owner ON runs (owner_id, created_at);
CREATE INDEX runs_under_way ON runs (owner_id)
 WHERE status IN ('scheduled', 'running', 'delegated');

ALTER TABLE commands ADD COLUMN priority INTEGER NOT NULL DEFAULT 500;
-- Not before this instant, and not before that run has ended.
ALTER TABLE commands ADD COLUMN due_at INTEGER;
ALTER TABLE commands ADD COLUMN after_run_id TEXT;
DROP INDEX commands_pending;
CREATE INDEX commands_pending ON commands (queue, priority DESC, seq) WHERE state = 'pending';
