-- Definitions with their schedules, the sources beside webhooks, and runs of more than triggers.

-- What is defined. `spec` is the definition as its author wrote it, as JSON.
CREATE TABLE definitions (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    -- The definition's own word; an overlay goes before it.
    enabled         BIGINT NOT NULL,
    overlay         BIGINT,
    spec            TEXT    NOT NULL,
    -- What of it is looked up: the agent that it names, the endpoint that it listens to, and the
    -- slug that it answers at, which is nobody else's.
    agent           TEXT,
    endpoint        TEXT,
    slug            TEXT,
    revision        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    UNIQUE (workspace_id, kind, name),
    UNIQUE (workspace_id, slug)
);
CREATE INDEX definitions_of_workspace ON definitions (kind, workspace_id, seq);
CREATE INDEX definitions_of_agent ON definitions (workspace_id, agent) WHERE agent IS NOT NULL;

-- Raised with every change of a definition, so that each replica notices.
CREATE TABLE definitions_revision (
    one             BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    revision        BIGINT NOT NULL
);
INSERT INTO definitions_revision (one, revision) VALUES (1, 0);

-- Who listens to what of the host's own life: a point is told only when somebody does. Patterns
-- are those of triggers (`hook.run.failed`, `hook.*`); hooks and observers have theirs.
CREATE TABLE listeners (
    workspace_id    TEXT    NOT NULL,
    pattern         TEXT    NOT NULL,
    definition_id   TEXT    NOT NULL REFERENCES definitions (id) ON DELETE CASCADE,
    PRIMARY KEY (workspace_id, pattern, definition_id)
);
CREATE INDEX listeners_of_definition ON listeners (definition_id);

-- Points of the host's own life that wait to become events.
CREATE TABLE notices (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    point           TEXT    NOT NULL,
    data            TEXT    NOT NULL,
    depth           BIGINT NOT NULL,
    causes          TEXT    NOT NULL,
    at              BIGINT NOT NULL
);

-- Where each enabled job's schedule stands.
CREATE TABLE schedules (
    job_id                      TEXT    NOT NULL PRIMARY KEY
                                        REFERENCES definitions (id) ON DELETE CASCADE,
    workspace_id                TEXT    NOT NULL,
    -- The next slot; NULL when there is none any more.
    next_run_at                 BIGINT,
    -- The same with the job's own offset: when the scheduler is to look.
    due_at                      BIGINT,
    anchored_at                 BIGINT NOT NULL,
    last_run_at                 BIGINT,
    last_scheduled_at           BIGINT,
    last_fire_id                TEXT,
    schedule_hash               TEXT    NOT NULL,
    catch_up_policy             TEXT    NOT NULL,
    misfire_grace_seconds       BIGINT NOT NULL,
    consecutive_resume_failures BIGINT NOT NULL,
    last_misfire_at             BIGINT,
    misfire_count               BIGINT NOT NULL
);
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;

-- What observers and extensions remember.
CREATE TABLE source_states (
    definition_id   TEXT    NOT NULL PRIMARY KEY REFERENCES definitions (id) ON DELETE CASCADE,
    cursor          TEXT,
    state           TEXT    NOT NULL,
    revision        BIGINT NOT NULL,
    -- The revision of the definition; a newer one makes it due at once.
    follows         BIGINT NOT NULL,
    next_at         BIGINT,
    last_at         BIGINT,
    failures        BIGINT NOT NULL,
    last_error      TEXT
);
CREATE INDEX source_states_due ON source_states (next_at) WHERE next_at IS NOT NULL;

-- Bursts and batches that wait, and the events in them. Events join the open one of their trigger
-- and key; a closed one is complete, and fires once it is due.
CREATE TABLE gatherings (
    id              TEXT    NOT NULL PRIMARY KEY,
    trigger_id      TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    workspace_id    TEXT    NOT NULL,
    first_at        BIGINT NOT NULL,
    due_at          BIGINT NOT NULL,
    size            BIGINT NOT NULL,
    closed          BIGINT NOT NULL
);
CREATE UNIQUE INDEX gatherings_open ON gatherings (trigger_id, key) WHERE closed = 0;
CREATE INDEX gatherings_due ON gatherings (due_at);
CREATE TABLE gathered (
    gathering_id    TEXT    NOT NULL,
    event_seq       BIGINT NOT NULL,
    event_id        TEXT    NOT NULL,
    PRIMARY KEY (gathering_id, event_seq)
);

ALTER TABLE events RENAME COLUMN webhook_id TO producer_id;
ALTER TABLE events RENAME COLUMN endpoint TO producer;
-- How often it came again.
ALTER TABLE events ADD COLUMN repeats BIGINT NOT NULL DEFAULT 0;
COMMENT ON COLUMN events.producer_id IS
    'The endpoint, with its slug beside it; or the hook, observer or extension with its name.';

ALTER TABLE decisions ADD COLUMN retry_at BIGINT;

ALTER TABLE runs RENAME COLUMN trigger_id TO owner_id;
ALTER TABLE runs RENAME COLUMN trigger_name TO owner_name;
ALTER TABLE runs ALTER COLUMN event_id DROP NOT NULL;
ALTER TABLE runs
    -- The trigger's or the job's.
    ADD COLUMN owner_kind           TEXT    NOT NULL DEFAULT 'trigger',
    ADD COLUMN fire_id              TEXT    UNIQUE,
    ADD COLUMN scheduled_at         BIGINT,
    ADD COLUMN untrusted_content    TEXT    NOT NULL DEFAULT 'unfenced',
    ADD COLUMN task                 TEXT,
    ADD COLUMN priority             TEXT    NOT NULL DEFAULT 'normal',
    ADD COLUMN retry                TEXT    NOT NULL DEFAULT '{"mode":"none"}',
    ADD COLUMN depth                BIGINT  NOT NULL DEFAULT 0,
    ADD COLUMN causes               TEXT    NOT NULL DEFAULT '[]',
    ADD COLUMN due_at               BIGINT,
    ADD COLUMN delivery_error       TEXT,
    ADD COLUMN delivery_error_at    BIGINT,
    ADD COLUMN task_id              TEXT,
    ADD COLUMN task_run_id          TEXT;
UPDATE runs SET ended_at = started_at WHERE ended_at < started_at;
ALTER TABLE runs
    ADD CHECK ((delivery_error IS NULL) = (delivery_error_at IS NULL)),
    ADD CHECK (status <> 'delegated' OR (task_id IS NOT NULL AND task_run_id IS NOT NULL)),
    ADD CHECK (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at);
-- For fire limits, and for what of a job has not ended.
CREATE INDEX runs_of_owner ON runs (owner_id, created_at);
CREATE INDEX runs_under_way ON runs (owner_id)
 WHERE status IN ('scheduled', 'running', 'delegated');

ALTER TABLE commands ADD COLUMN priority BIGINT NOT NULL DEFAULT 500;
-- Not before this instant, and not before that run has ended.
ALTER TABLE commands ADD COLUMN due_at BIGINT;
ALTER TABLE commands ADD COLUMN after_run_id TEXT;
DROP INDEX commands_pending;
CREATE INDEX commands_pending ON commands (queue, priority DESC, seq) WHERE state = 'pending';
