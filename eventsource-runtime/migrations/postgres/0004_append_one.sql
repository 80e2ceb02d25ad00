-- Each insertion has a check read, planned and run anew, which is a tenth of what it costs; a version is one more than
-- the last, or 1.
ALTER TABLE {schema}.events DROP CONSTRAINT events_version_check;

-- An append of a single event, on its own: what most commands come to. The same as a group of it, by two queries.
-- Whether the event is stored already is not looked up: then its insertion fails.
CREATE FUNCTION {schema}.append_one_1(
    stream text, expected bigint, id uuid, type text, schema bigint, recorded bigint, correlation uuid, causation uuid,
    metadata text, parent text, state text, payload bytea,
    OUT made boolean, OUT known boolean, OUT last_version bigint, OUT last_position bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- As in `lock_1`, which costs a call. In an expression, because by itself it would be run as a query. What follows
    -- is one, and so reads what was committed before the lock was had.
    IF current_setting('transaction_isolation') <> 'read committed' OR
        pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) IS NULL
    THEN
        RAISE EXCEPTION 'events are appended in transactions that are read committed';
    END IF;
    last_version := coalesce((
        SELECT version FROM {schema}.events WHERE stream_id = append_one_1.stream ORDER BY version DESC LIMIT 1
    ), 0);
    made := last_version = expected OR expected = -1 OR expected = -2 AND last_version > 0;
    IF made THEN
        known := false;
        INSERT INTO {schema}.events VALUES (
            coalesce((SELECT position FROM {schema}.events ORDER BY position DESC LIMIT 1), 0) + 1,
            append_one_1.stream, last_version + 1, append_one_1.id, append_one_1.type, append_one_1.schema,
            append_one_1.recorded, append_one_1.correlation, append_one_1.causation, append_one_1.metadata,
            append_one_1.parent, append_one_1.state, append_one_1.payload
        ) RETURNING version, position INTO last_version, last_position;
        -- As in `notify_1`, which would look the position up again.
        IF NOT pg_try_advisory_xact_lock((x'65730002'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) THEN
            PERFORM pg_notify('eventsource_' || '{schema}.events'::regclass::oid, last_position::text);
        END IF;
    ELSE
        known := EXISTS (SELECT FROM {schema}.events WHERE event_id = append_one_1.id);
        last_position := 0;
    END IF;
END
$$;
