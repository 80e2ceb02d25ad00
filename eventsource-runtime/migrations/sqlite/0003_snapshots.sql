-- The snapshot of each stream that has one. Nothing here is needed: it is made again from the events.
CREATE TABLE snapshots (
    stream_id      TEXT    PRIMARY KEY,
    aggregate_type TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    position       INTEGER NOT NULL,
    event_id       BLOB    NOT NULL, -- of the last event in the state
    schema_version INTEGER NOT NULL,
    schema_hash    INTEGER NOT NULL,
    state          BLOB    NOT NULL -- exactly as it was written: JSON and its checksum
) STRICT;

CREATE INDEX snapshots_by_aggregate_type ON snapshots (aggregate_type);
