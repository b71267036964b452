-- Pauses: out of which workspace nothing is handed to workers, since when, and why.

CREATE TABLE pauses (
    -- Empty for the global scope, and '*' for the whole host.
    workspace_id TEXT   NOT NULL PRIMARY KEY,
    paused_at    BIGINT NOT NULL,
    reason       TEXT
);
