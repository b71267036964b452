-- What is looked up by more than its workspace, and what must not change with a name.

-- The identifier of the endpoint that a trigger declares for itself: it stays when the slug changes.
-- NULL for one from before whose slug has not changed yet: it is made of that.
ALTER TABLE definitions ADD COLUMN webhook_id TEXT;
CREATE UNIQUE INDEX definitions_webhooks ON definitions (webhook_id) WHERE webhook_id IS NOT NULL;

-- Why a command is to stop, for when it has.
ALTER TABLE commands ADD COLUMN cancel_reason TEXT;

CREATE INDEX runs_by_time ON runs (created_at, seq);
CREATE INDEX runs_of_agent ON runs (agent, seq);
CREATE INDEX commands_of_worker ON commands (worker_id, seq) WHERE worker_id IS NOT NULL;
CREATE INDEX commands_by_priority ON commands (priority, seq) WHERE priority <> 500;

-- A task that was told more after its end follows the run that came of it.
UPDATE tasks
   SET run_id = (SELECT r.id
                   FROM runs r
                  WHERE r.owner_id = tasks.id
                  ORDER BY r.seq DESC
                  LIMIT 1)
 WHERE ended_at IS NOT NULL
   AND EXISTS (SELECT 1
                 FROM runs known
                 JOIN runs later ON later.owner_id = known.owner_id AND later.seq > known.seq
                WHERE known.id = tasks.run_id
                  AND known.owner_id = tasks.id);
UPDATE tasks
   SET status = CASE present.status WHEN 'scheduled' THEN 'queued'
                                    WHEN 'completed' THEN 'done'
                                    WHEN 'failed' THEN 'error'
                                    WHEN 'canceled' THEN 'canceled'
                                    ELSE CASE present.interaction WHEN 'waiting_for_input'
                                                                  THEN 'waiting'
                                                                  ELSE 'running' END END,
       error = present.error, result = present.result, ended_at = present.ended_at,
       archived_at = CASE WHEN present.ended_at IS NOT NULL THEN tasks.archived_at END
  FROM (SELECT t.id AS task_id, r.status, r.interaction, r.error, r.result, r.ended_at
          FROM tasks t
          JOIN runs r
            ON r.id = coalesce((SELECT u.id
                                  FROM runs u
                                 WHERE u.owner_id = t.id
                                   AND u.status IN ('scheduled', 'running')
                                 ORDER BY u.seq
                                 LIMIT 1), t.run_id)
         WHERE t.ended_at IS NOT NULL
           AND r.created_at > t.ended_at) AS present
 WHERE tasks.id = present.task_id;
