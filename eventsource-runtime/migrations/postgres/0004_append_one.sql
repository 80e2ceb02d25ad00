-- An append of a single event as before, by statements that are simple enough to be planned once and to cost little: what
-- most commands come to.
CREATE FUNCTION {schema}.append_one_2(
    stream text, expected bigint, id uuid, type text, schema bigint, recorded bigint, correlation uuid, causation uuid,
    metadata text, parent text, state text, payload bytea,
    OUT made boolean, OUT known boolean, OUT last_version bigint, OUT last_position bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    head bigint;
BEGIN
    -- As in `lock_1`, which costs a call.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'events are appended in transactions that are read committed';
    END IF;
    PERFORM pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{schema}.events'::regclass::oid::bigint);
    SELECT version, position INTO last_version, last_position
    FROM {schema}.events WHERE stream_id = append_one_2.stream ORDER BY version DESC LIMIT 1;
    IF NOT FOUND THEN
        last_version := 0;
        last_position := 0;
    END IF;
    known := EXISTS (SELECT FROM {schema}.events WHERE event_id = append_one_2.id);
    made := NOT known
        AND (last_version = expected OR expected = -1 OR expected = -2 AND last_version > 0);
    IF made THEN
        SELECT position INTO head FROM {schema}.events ORDER BY position DESC LIMIT 1;
        last_version := last_version + 1;
        last_position := coalesce(head, 0) + 1;
        INSERT INTO {schema}.events VALUES (
            last_position, append_one_2.stream, last_version, append_one_2.id, append_one_2.type, append_one_2.schema,
            append_one_2.recorded, append_one_2.correlation, append_one_2.causation, append_one_2.metadata,
            append_one_2.parent, append_one_2.state, append_one_2.payload
        );
        -- As in `notify_1`, which would look the position up again.
        IF NOT pg_try_advisory_xact_lock((x'65730002'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) THEN
            PERFORM pg_notify('eventsource_' || '{schema}.events'::regclass::oid, last_position::text);
        END IF;
    END IF;
END
$$;
