-- How often a command has been handed out. dispatch_attempts counts what may be held against it, and
-- takes back what came to nothing; this tells two programs of one attempt apart.
ALTER TABLE commands ADD COLUMN dispatches INTEGER NOT NULL DEFAULT 0;
