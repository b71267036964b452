-- Events that read alike and are not the same: a sender says the same twice.

-- The event that an event reads like, where that came within a day of it.
ALTER TABLE events ADD COLUMN repeat_of TEXT;
