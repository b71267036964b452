-- Order and limits by the clock: which command has waited longest, when due times were written, so
-- that a clock that was ahead is found out, and the line of fires that wait for their trigger's limit.

-- In one queue and priority, what has waited longest goes first.
DROP INDEX commands_pending;
CREATE INDEX commands_pending ON commands (queue, priority, (coalesce(due_at, created_at)), seq)
 WHERE state = 'pending';

-- When the due time beside it was written, by the clock of that moment.
ALTER TABLE schedules ADD COLUMN set_at BIGINT;
ALTER TABLE source_states ADD COLUMN set_at BIGINT;
ALTER TABLE gatherings ADD COLUMN set_at BIGINT;
-- Where the cursor stood before it was set back: what lies before has been dealt with.
ALTER TABLE schedules ADD COLUMN set_back_from BIGINT;

-- The place in the line of its trigger, for what waits for the fire limit.
ALTER TABLE gatherings ADD COLUMN place BIGINT;
CREATE INDEX gatherings_in_line ON gatherings (trigger_id, place) WHERE place IS NOT NULL;

-- The last pass that found something to do, and what it did.
ALTER TABLE controllers ADD COLUMN worked_at BIGINT;
ALTER TABLE controllers ADD COLUMN worked TEXT;
