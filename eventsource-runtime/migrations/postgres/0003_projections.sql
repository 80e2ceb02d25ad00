-- Where each part of each projection stands, written in the transaction that holds the projection's own writes; and who
-- has the right to run it.
CREATE TABLE {schema}.projection_partitions (
    projection text   COLLATE "C" NOT NULL,
    partition  bigint NOT NULL CHECK (partition >= 0),
    partitions bigint NOT NULL CHECK (partitions > partition),
    position   bigint NOT NULL,
    token      uuid,
    owner      text   NOT NULL,
    expires    timestamptz NOT NULL,
    PRIMARY KEY (projection, partition)
);

-- Events that were set aside. The events themselves stay in their streams.
CREATE TABLE {schema}.projection_dead_letters (
    projection text   COLLATE "C" NOT NULL,
    position   bigint NOT NULL,
    stream_id  text   COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    event_type text   COLLATE "C" NOT NULL,
    error_type text   NOT NULL,
    reason     text   NOT NULL,
    retries    bigint NOT NULL,
    at         bigint NOT NULL, -- microseconds since 1970
    PRIMARY KEY (projection, position)
);

CREATE INDEX projection_dead_letters_by_stream ON {schema}.projection_dead_letters (projection, stream_id, position);
