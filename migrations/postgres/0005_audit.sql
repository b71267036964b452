-- Who has changed what. Rows are added, and removed when they are old; none is ever changed.

CREATE TABLE audit (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    workspace_id    TEXT    NOT NULL,
    at              BIGINT  NOT NULL,
    actor_kind      TEXT    NOT NULL,
    actor_id        TEXT,
    action          TEXT    NOT NULL,
    object_kind     TEXT    NOT NULL,
    object_id       TEXT,
    object_name     TEXT,
    -- The SHA-256 of the object's stored form. NULL where it has none, or is not there.
    before          BYTEA,
    after           BYTEA,
    -- What else there is to say, as JSON: counts, identifiers and names.
    detail          TEXT,
    peer            TEXT,
    request_id      TEXT,
    user_agent      TEXT
);
CREATE INDEX audit_of_workspace ON audit (workspace_id, seq);
CREATE INDEX audit_by_age ON audit (at, seq);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only';
END
$$;
CREATE TRIGGER audit_is_append_only
BEFORE UPDATE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
