-- Where each part of each projection stands, written in the transaction that holds the projection's own writes; and who
-- has the right to run it.
CREATE TABLE projection_partitions (
    projection TEXT    NOT NULL,
    partition  INTEGER NOT NULL CHECK (partition >= 0),
    partitions INTEGER NOT NULL CHECK (partitions > partition),
    position   INTEGER NOT NULL,
    token      BLOB             CHECK (length(token) = 16),
    owner      TEXT    NOT NULL,
    expires    INTEGER NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (projection, partition)
) STRICT, WITHOUT ROWID;

INSERT INTO projection_partitions (projection, partition, partitions, position, owner, expires)
    SELECT projection, 0, 1, position, '', 0 FROM projection_checkpoints;

DROP TABLE projection_checkpoints;

-- Events that were set aside. The events themselves stay in their streams.
CREATE TABLE projection_dead_letters (
    projection TEXT    NOT NULL,
    position   INTEGER NOT NULL,
    stream_id  TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    event_type TEXT    NOT NULL,
    error_type TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    retries    INTEGER NOT NULL,
    at         INTEGER NOT NULL, -- microseconds since 1970
    PRIMARY KEY (projection, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX projection_dead_letters_by_stream ON projection_dead_letters (projection, stream_id, position);
