-- What is old is found by when it ended, and goes with all that hangs on it.

-- Whether a run's log and events have been removed, while the run itself is kept.
ALTER TABLE runs ADD COLUMN log_removed BIGINT NOT NULL DEFAULT 0;

CREATE INDEX runs_ended ON runs (workspace_id, log_removed, ended_at, seq)
 WHERE ended_at IS NOT NULL;
CREATE INDEX tasks_ended ON tasks (workspace_id, ended_at, seq) WHERE ended_at IS NOT NULL;
-- Words to workers, which belong to no run.
CREATE INDEX commands_words_ended ON commands (workspace_id, ended_at, seq)
 WHERE run_id IS NULL AND ended_at IS NOT NULL;
CREATE INDEX commands_behind ON commands (after_run_id) WHERE after_run_id IS NOT NULL;
CREATE INDEX dedupe_of_event ON dedupe (event_seq);
CREATE INDEX gathered_of_event ON gathered (event_seq);

-- What expires.
CREATE INDEX commands_tokens ON commands (token_expires_at)
 WHERE token_hash IS NOT NULL AND ended_at IS NOT NULL;
CREATE INDEX tasks_keyed ON tasks (ended_at)
 WHERE idempotency_key IS NOT NULL AND ended_at IS NOT NULL;
CREATE INDEX run_inputs_keyed ON run_inputs (created_at) WHERE idempotency_key IS NOT NULL;
