-- The events of every stream, in the order in which they were committed. `{schema}` is replaced by the store's schema.
CREATE TABLE {schema}.events (
    position       bigint  PRIMARY KEY,
    stream_id      text    COLLATE "C" NOT NULL,
    version        bigint  NOT NULL CHECK (version > 0),
    event_id       uuid    NOT NULL,
    event_type     text    COLLATE "C" NOT NULL,
    schema_version bigint  NOT NULL,
    recorded_at    bigint  NOT NULL, -- microseconds since 1970
    correlation_id uuid,
    causation_id   uuid,
    metadata       text,             -- a JSON object of texts; not jsonb, which refuses and changes some of them
    traceparent    text,
    tracestate     text,
    payload        bytea   NOT NULL, -- exactly as it was written
    UNIQUE (stream_id, version),
    UNIQUE (event_id)
);

CREATE FUNCTION {schema}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {schema}.events
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse_change();

-- What every append does first. Positions are handed out by one transaction at a time, from here until its commit is
-- visible, so that a reader never finds an event behind one that it has seen. It has to be a statement of its own: one
-- that took the lock and read in the same breath would read what was committed before it waited. That each statement
-- reads anew holds for no isolation level but `read committed`.
CREATE FUNCTION {schema}.lock_1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'events are appended in transactions that are read committed';
    END IF;
    PERFORM pg_advisory_xact_lock((x'65730001'::bigint << 32) | '{schema}.events'::regclass::oid::bigint);
END
$$;

-- Wakes who waits for the feed's head to move, in any process, if there is anyone: each of them shares the lock that
-- is tried here, so that nobody is notified where nobody listens. Whoever begins to listen waits in turn for the
-- appends that have not seen it.
CREATE FUNCTION {schema}.notify_1() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock((x'65730002'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) THEN
        PERFORM pg_notify(
            'eventsource_' || '{schema}.events'::regclass::oid, (SELECT max(position)::text FROM {schema}.events)
        );
    END IF;
END
$$;

-- Appends of one group, each to a stream of its own and with event ids that no other has. Each is made or not made on
-- its own account: `known` if an event with one of its ids is stored, else whether the stream is where it is expected
-- (-1: anywhere, -2: not at its beginning). `firsts` and `lengths` tell which of the events are an append's.
CREATE FUNCTION {schema}.append_1(
    streams text[], expectations bigint[], firsts integer[], lengths integer[],
    ids uuid[], types text[], schemas bigint[], times bigint[], correlations uuid[], causations uuid[],
    metadatas text[], parents text[], states text[], payloads bytea[]
) RETURNS TABLE (made boolean, known boolean, last_version bigint, last_position bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    PERFORM {schema}.lock_1();
    RETURN QUERY
    WITH found AS MATERIALIZED (
        SELECT append.*, coalesce(last.version, 0) AS version, coalesce(last.position, 0) AS position,
            EXISTS (
                SELECT FROM generate_series(append.first, append.first + append.length - 1) AS at
                CROSS JOIN LATERAL (SELECT FROM {schema}.events WHERE event_id = ids[at] LIMIT 1) AS stored
            ) AS known
        FROM unnest(streams, expectations, firsts, lengths) WITH ORDINALITY
            AS append (stream, expected, first, length, ordinal)
        LEFT JOIN LATERAL (
            SELECT version, position FROM {schema}.events WHERE stream_id = append.stream ORDER BY version DESC LIMIT 1
        ) AS last ON true
    ), judged AS MATERIALIZED (
        SELECT *, NOT known AND CASE expected
            WHEN -1 THEN true WHEN -2 THEN version > 0 ELSE version = expected
        END AS admitted FROM found
    ), placed AS MATERIALIZED (
        SELECT judged.*, before.position + sum(length) FILTER (WHERE admitted) OVER (ORDER BY ordinal) AS ends
        FROM judged, (SELECT coalesce(max(position), 0) AS position FROM {schema}.events) AS before
    ), inserted AS (
        INSERT INTO {schema}.events
        SELECT ends - length + 1 + at, stream, version + 1 + at, ids[first + at], types[first + at],
            schemas[first + at], times[first + at], correlations[first + at], causations[first + at],
            metadatas[first + at], parents[first + at], states[first + at], payloads[first + at]
        FROM placed, generate_series(0, length - 1) AS at
        WHERE admitted
    )
    SELECT admitted, known, CASE WHEN admitted THEN version + length ELSE version END,
        CASE WHEN admitted THEN ends::bigint ELSE position END
    FROM placed ORDER BY ordinal;
    PERFORM {schema}.notify_1();
END
$$;
