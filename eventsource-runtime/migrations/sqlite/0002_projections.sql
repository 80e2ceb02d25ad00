-- Where each projection stands; written in the transaction that holds the projection's own writes.
CREATE TABLE projection_checkpoints (
    projection TEXT    PRIMARY KEY,
    position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
