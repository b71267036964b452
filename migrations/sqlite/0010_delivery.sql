-- How long a command waits for a worker before it expires, in milliseconds: the wait begins anew
-- whenever the command comes back to the queue. 0 for what says itself until when, which stays.
-- NULL for words to workers, and for what was queued before: that says it by its first wait.
ALTER TABLE commands ADD COLUMN queue_timeout_ms INTEGER;
