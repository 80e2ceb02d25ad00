-- The events of every stream, in the order in which they were committed. SQLite has one writer at a time, and nothing
-- is ever deleted, so that the row id ascends as events become visible.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    stream_id      TEXT    NOT NULL,
    version        INTEGER NOT NULL CHECK (version > 0),
    event_id       BLOB    NOT NULL CHECK (length(event_id) = 16),
    event_type     TEXT    NOT NULL,
    schema_version INTEGER NOT NULL,
    recorded_at    INTEGER NOT NULL, -- microseconds since 1970
    correlation_id BLOB,
    causation_id   BLOB,
    metadata       TEXT,             -- a JSON object of texts
    traceparent    TEXT,
    tracestate     TEXT,
    payload        BLOB    NOT NULL, -- exactly as it was written
    UNIQUE (stream_id, version),
    UNIQUE (event_id)
) STRICT;

CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;

CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
