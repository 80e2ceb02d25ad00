-- The snapshot of each stream that has one. Nothing here is needed: it is made again from the events.
CREATE TABLE {schema}.snapshots (
    stream_id      text   COLLATE "C" PRIMARY KEY,
    aggregate_type text   COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    position       bigint NOT NULL,
    event_id       uuid   NOT NULL, -- of the last event in the state
    schema_version bigint NOT NULL,
    schema_hash    bigint NOT NULL,
    state          bytea  NOT NULL -- exactly as it was written: JSON and its checksum
);

CREATE INDEX snapshots_by_aggregate_type ON {schema}.snapshots (aggregate_type);
