//! Appends: one statement for each group, and the outcome for each of its members.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::connections::{Fault, Readers, lend};
use super::group::{Append, Outcome, send, send_one};
use super::read::number;
use super::schema::Schema;
use super::{Postgres, PostgresError};
use crate::clock::Timestamp;
use crate::store::repetition::{Known, mismatch, repeated};
use crate::store::{AppendError, Appended, Conflict, NewEvent, Position, StreamId, Version};

/// How long to look for an append whose outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause between two such looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

const FORGOTTEN: &str = "the server knew the events, and now knows none of them; append them again with the same ids";
const UNKNOWN: &str = "whether the events were stored is not known, append them again with the same ids";

/// The statements that append.
#[derive(Debug)]
pub(super) struct Appends {
    at_once: String,
    one: String,
    group: String,
    last: String,
    known: String,
    blocking: String,
    /// How many more appends go without `at_once`.
    cautious: AtomicU32,
}

/// How many appends go without `at_once` after another process was ahead of one.
const CAUTIOUS: u32 = 32;

/// A statement's answer about one append.
struct Verdict {
    made: bool,
    known: bool,
    version: Version,
    position: Position,
}

impl Verdict {
    /// The event is stored; nothing else is known.
    const KNOWN: Self = Self { made: false, known: true, version: Version::START, position: Position::START };
}

/// The statements that append. Public for tests of what the database does by itself.
impl Postgres {
    /// An append of a single event by one query, where a function runs several. It makes nothing if the lock is not
    /// free, or the stream is not at the expected version. What it reads may be older than the lock, by an append that
    /// ended in between: then the event's position is taken, and its insertion fails.
    #[doc(hidden)]
    pub const APPEND_AT_ONCE: &'static str = "INSERT INTO {schema}.events \
        SELECT coalesce((SELECT position FROM {schema}.events ORDER BY position DESC LIMIT 1), 0) + 1, \
            $1, last.version + 1, $3::uuid, $4, $5::bigint, $6::bigint, $7::uuid, $8::uuid, $9, $10, $11, $12::bytea \
        FROM (SELECT coalesce((\
            SELECT version FROM {schema}.events WHERE stream_id = $1 ORDER BY version DESC LIMIT 1\
        ), 0) AS version OFFSET 0) AS last \
        WHERE pg_try_advisory_xact_lock((x'65730001'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) \
            AND CASE $2::bigint WHEN -1 THEN true WHEN -2 THEN last.version > 0 ELSE last.version = $2 END \
        RETURNING true, false, version, position, CASE \
            WHEN NOT pg_try_advisory_xact_lock((x'65730002'::bigint << 32) | '{schema}.events'::regclass::oid::bigint) \
            THEN pg_notify('eventsource_' || '{schema}.events'::regclass::oid, position::text)::text END";
    #[doc(hidden)]
    pub const APPEND_ONE: &'static str = "append_one_1";
    #[doc(hidden)]
    pub const APPEND_GROUP: &'static str = "append_1";
}

impl Appends {
    pub(super) fn new(schema: &Schema) -> Self {
        let parameters = |count: usize| (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
        let call = |name: &str, count| schema.sql(&format!("SELECT * FROM {{schema}}.{name}({})", parameters(count)));
        Self {
            at_once: schema.sql(Postgres::APPEND_AT_ONCE),
            one: call(Postgres::APPEND_ONE, 12),
            group: call(Postgres::APPEND_GROUP, 14),
            last: schema.sql(
                "SELECT version, position FROM {schema}.events WHERE stream_id = $1 \
                ORDER BY version DESC LIMIT 1",
            ),
            known: schema.sql(
                "SELECT event_id, stream_id, version, position, event_type, schema_version, payload, recorded_at \
                FROM {schema}.events WHERE event_id = ANY ($1)",
            ),
            blocking: schema.sql(
                "WITH RECURSIVE ahead (pid) AS ( \
                    SELECT unnest(pg_blocking_pids(waiting.pid)) FROM pg_stat_activity AS waiting \
                        WHERE waiting.datname = current_database() AND CASE WHEN $1::int IS NULL \
                            THEN waiting.query LIKE '%{schema}.append%' \
                                OR waiting.query LIKE 'INSERT INTO {schema}.events%' \
                            ELSE waiting.pid = $1 END \
                    UNION SELECT unnest(pg_blocking_pids(pid)) FROM ahead WHERE pid > 0) \
                SELECT pid, \
                    extract(epoch FROM clock_timestamp() - coalesce(blocking.xact_start, blocking.state_change))::float8 \
                FROM ahead JOIN pg_stat_activity AS blocking USING (pid) \
                WHERE cardinality(pg_blocking_pids(pid)) = 0 \
                ORDER BY blocking.xact_start NULLS FIRST LIMIT 1",
            ),
            cautious: AtomicU32::new(0),
        }
    }

    /// Makes appends that do not depend on each other in one transaction, which is one statement: a dropped future
    /// leaves it done or not done, and the connection as it was. `is_alone` says that no others of this store are in
    /// flight.
    pub(super) async fn make(&self, pools: &Pools, group: &[&Append], is_alone: bool) -> Vec<Outcome> {
        let mut doubt = Doubt::default();
        loop {
            let made = self.attempt(pools, group, is_alone && doubt.since.is_none()).await;
            if let Err(Fault::Said(error)) = &made {
                pools.readers.link.note(error);
            }
            match made {
                Ok(verdicts) => return self.settle(pools, group, verdicts, doubt).await,
                Err(fault) => match doubt.of(fault) {
                    Next::Again(pause) => tokio::time::sleep(pause).await,
                    // Each on its own, so that only those fail that cannot be made. If the server is busy that is none
                    // of them, and each would wait for it as long again.
                    Next::Refused(Fault::Said(error))
                        if group.len() > 1 && error.is_refusal() && !error.is_busy() && doubt.since.is_none() =>
                    {
                        let mut outcomes = Vec::with_capacity(group.len());
                        for append in group {
                            outcomes.append(&mut Box::pin(self.make(pools, &[append], false)).await);
                        }
                        return outcomes;
                    }
                    Next::Refused(fault) => {
                        return group.iter().map(|_| Err(fault.clone().attempt("append events").into())).collect();
                    }
                },
            }
        }
    }

    async fn attempt(&self, pools: &Pools, group: &[&Append], is_alone: bool) -> Result<Vec<Verdict>, Fault> {
        if let [append] = group
            && let [event] = &*append.events
        {
            return Ok(vec![self.single(pools, append, event, is_alone).await?]);
        }
        let client = lend(&pools.writers).await?;
        let statement = client.prepare_cached(&self.group).await.map_err(|error| PostgresError::not_sent(&error))?;
        let rows = send(&client, &statement, group).await?;
        Ok(rows.iter().map(verdict).collect::<Result<_, _>>()?)
    }

    async fn single(&self, pools: &Pools, append: &Append, event: &NewEvent, is_alone: bool) -> Result<Verdict, Fault> {
        let is_at_once = is_alone && !self.is_cautious();
        if is_at_once {
            // Usually the one that has just loaded the stream: its server process is awake, and its caches are warm.
            let client = match pools.readers.idle().await {
                Some(client) => client,
                None => lend(&pools.writers).await?,
            };
            if let Some(verdict) = tried(&client, &self.at_once, append, event).await? {
                return Ok(verdict);
            }
        }
        // Waiting for the lock must hold up no reader.
        let client = lend(&pools.writers).await?;
        let verdict = tried(&client, &self.one, append, event).await?.ok_or_else(|| {
            PostgresError::new("the place of an event is taken; the table was changed by something else")
        })?;
        if is_at_once && verdict.made {
            self.cautious.store(CAUTIOUS, Ordering::Relaxed);
        }
        Ok(verdict)
    }

    /// Whether another process was ahead of one of the last appends.
    fn is_cautious(&self) -> bool {
        self.cautious.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    async fn settle(&self, pools: &Pools, group: &[&Append], verdicts: Vec<Verdict>, doubt: Doubt) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(group.len());
        for (append, verdict) in group.iter().zip(verdicts) {
            outcomes.push(if verdict.made {
                Ok(Appended::new(verdict.version, verdict.position, append.events.len() as u64))
            } else if verdict.known {
                self.known(&pools.readers, append, doubt).await
            } else {
                Err(Conflict::new(append.stream.clone(), append.expected, verdict.version).into())
            });
        }
        outcomes
    }

    /// The outcome of an append some of whose events are known: if it was in doubt, it made them itself if they were
    /// recorded when it began, and stand at the version that it expected. Others are from another append of the same
    /// command.
    async fn known(&self, readers: &Readers, append: &Append, mut doubt: Doubt) -> Outcome {
        let was_in_doubt = doubt.since.is_some();
        loop {
            match self.compared(readers, append).await {
                Ok((Ok(appended), true)) if was_in_doubt && append.expected.admits(before(&appended)) => {
                    return Ok(Appended { repeated: false, ..appended });
                }
                Ok((outcome, _)) => return outcome,
                Err(fault) => match doubt.of(fault) {
                    Next::Again(pause) => tokio::time::sleep(pause).await,
                    Next::Refused(fault) => return Err(fault.attempt("append events").into()),
                },
            }
        }
    }

    /// The server process that another one waits for, or an append if none is given, and which itself waits for nobody,
    /// and how many seconds its transaction has been open. For another user's process, the server may report the
    /// process only.
    pub(super) async fn blocking(&self, pool: &Pool, waiting: Option<i32>) -> Option<(i32, Option<f64>)> {
        let client = lend(pool).await.ok()?;
        let row = client.query_opt(&self.blocking, &[&waiting]).await.ok()??;
        Some((row.try_get(0).ok()?, row.try_get(1).ok()?))
    }

    /// The outcome of an append that stores nothing: it has no events, or some of their ids are stored or given twice.
    pub(super) async fn compare(&self, readers: &Readers, append: &Append) -> Outcome {
        match self.compared(readers, append).await {
            Ok((outcome, _)) => outcome,
            Err(fault) => Err(fault.attempt("append events").into()),
        }
    }

    /// What is stored of an append, and whether all of that was recorded when this one was.
    async fn compared(&self, readers: &Readers, append: &Append) -> Result<(Outcome, bool), Fault> {
        let Append { stream, expected, events } = append;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let client = readers.lend().await?;
        let (last, known) = (client.prepare_cached(&self.last).await?, client.prepare_cached(&self.known).await?);
        let last = client.query_opt(&last, &[&stream.as_str()]).await?;
        let known = client.query(&known, &[&ids]).await?;
        drop(client.free());
        let (actual, position) = match &last {
            None => (Version::START, Position::START),
            Some(row) => place(row, 0)?,
        };
        let stored: HashMap<Uuid, &Row> = known.iter().map(|row| (row.get(0), row)).collect();
        let is_own = events.iter().filter_map(|event| Some((event, stored.get(&event.id)?))).all(|(event, row)| {
            row.try_get(7).is_ok_and(|recorded_at: i64| Timestamp::from_micros(recorded_at) == event.origin.recorded_at)
        });
        let look = |event: &NewEvent| match stored.get(&event.id) {
            None => Ok(None),
            Some(row) => {
                let failed = |error| AppendError::Store(Fault::Said(error).attempt("append events"));
                same(row, stream, event).map(Some).map_err(failed)
            }
        };
        let outcome = match repeated(stream, events, look) {
            Ok(None) if !expected.admits(actual) => Err(Conflict::new(stream.clone(), *expected, actual).into()),
            Ok(None) => match twice(events) {
                Some(event) => Err(mismatch(stream, event)),
                None if events.is_empty() => Ok(Appended::new(actual, position, 0)),
                // After a failover the new server lacks the last events of the old one.
                None => return Err(PostgresError::unavailable(FORGOTTEN).into()),
            },
            Ok(Some(appended)) => Ok(appended),
            Err(error) => Err(error),
        };
        Ok((outcome, is_own))
    }
}

/// The connections that append, that read, that keep snapshots, that run projections, and that keep their leases.
pub(super) struct Pools {
    pub(super) writers: Pool,
    pub(super) readers: Readers,
    /// Separate, so that aggregates are loaded while snapshots cannot be written. Requests about snapshots alone use it
    /// too, behind a save that was dropped.
    pub(super) snapshots: Pool,
    pub(super) workers: Pool,
    /// Separate, so that a lease is renewed while all workers are at batches.
    pub(super) leases: Pool,
}

/// The first event whose id an earlier one of the same append has.
pub(super) fn twice(events: &[NewEvent]) -> Option<&NewEvent> {
    match events {
        [] | [_] => None,
        events => {
            let mut ids = std::collections::HashSet::with_capacity(events.len());
            events.iter().find(|event| !ids.insert(event.id))
        }
    }
}

/// Runs the statement of an append of one event. `None` if it was not made because of something it did not see.
async fn tried(client: &Object, sql: &str, append: &Append, event: &NewEvent) -> Result<Option<Verdict>, Fault> {
    let statement = client.prepare_cached(sql).await.map_err(|error| PostgresError::not_sent(&error))?;
    match send_one(client, &statement, append, event).await {
        Ok(rows) => Ok(rows.first().map(verdict).transpose()?),
        Err(error) => match violated(&error) {
            Some("events_event_id_key") => Ok(Some(Verdict::KNOWN)),
            Some("events_pkey" | "events_stream_id_version_key") => Ok(None),
            _ => Err(error.into()),
        },
    }
}

/// The unique constraint that an insertion violated. The server numbers its name if the schema had one of that name,
/// as that of a table which has been renamed.
fn violated(error: &tokio_postgres::Error) -> Option<&str> {
    let said = error.as_db_error().filter(|said| *said.code() == SqlState::UNIQUE_VIOLATION)?;
    Some(said.constraint()?.trim_end_matches(|last: char| last.is_ascii_digit()))
}

fn verdict(row: &Row) -> Result<Verdict, PostgresError> {
    let (version, position) = (Version::new(number(row, 2)?), Position::new(number(row, 3)?));
    Ok(Verdict { made: row.try_get(0)?, known: row.try_get(1)?, version, position })
}

/// The version on which an append was made.
fn before(appended: &Appended) -> Version {
    Version::new(appended.version.get().saturating_sub(appended.events))
}

fn place(row: &Row, column: usize) -> Result<(Version, Position), PostgresError> {
    Ok((Version::new(number(row, column)?), Position::new(number(row, column + 1)?)))
}

fn same(row: &Row, stream: &StreamId, event: &NewEvent) -> Result<Known, PostgresError> {
    let same = row.try_get::<_, &str>(1)? == stream.as_str()
        && row.try_get::<_, &str>(4)? == event.event_type
        && row.try_get::<_, i64>(5)? == i64::from(event.schema_version)
        && row.try_get::<_, &[u8]>(6)? == event.payload;
    Ok(Known { version: number(row, 2)?, position: number(row, 3)?, same })
}

/// An append that was sent, and whose answer was lost. It is sent again until there is one: the server makes it once,
/// because it knows the event ids, and the lock makes it wait for the first one if that is still in flight.
#[derive(Clone, Copy, Default)]
struct Doubt {
    since: Option<Instant>,
    pause: Option<Duration>,
}

/// What follows a fault.
enum Next {
    Again(Duration),
    Refused(Fault),
}

impl Doubt {
    fn of(&mut self, fault: Fault) -> Next {
        let error = match fault {
            // Sent before the store was closed.
            Fault::Closed if self.since.is_some() => PostgresError::new("the store is closed"),
            Fault::Closed => return Next::Refused(fault),
            Fault::Said(error) => error,
        };
        if self.since.is_none() && !error.is_in_doubt() {
            return Next::Refused(Fault::Said(error));
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        // A server that takes no writes for now, such as one being replaced, has not said what became of the first.
        if error.is_refusal() && !error.is_busy() || since.elapsed() > PATIENCE {
            return Next::Refused(Fault::Said(error.in_doubt(UNKNOWN)));
        }
        let pause = self.pause.map_or(PAUSES.0, |pause| PAUSES.1.min(pause * 2));
        self.pause = Some(pause);
        Next::Again(pause)
    }
}
