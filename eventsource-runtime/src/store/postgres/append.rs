//! Appends: one statement for each group, and what becomes of each of its members.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::time::Instant;
use tokio_postgres::error::{DbError, SqlState};
use uuid::Uuid;

use super::connections::{Fault, lend};
use super::group::{Append, Columns, Outcome, Single};
use super::read::number;
use super::schema::Schema;
use super::{Postgres, PostgresError};
use crate::clock::Timestamp;
use crate::store::repetition::{Known, mismatch, repeated};
use crate::store::{AppendError, Appended, Conflict, NewEvent, Position, StreamId, Version};

/// How long an append whose fate is not known is looked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first pause between two such looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

const FORGOTTEN: &str = "the server knew the events, and now knows none of them; append them again with the same ids";
const UNKNOWN: &str = "whether the events were stored is not known, append them again with the same ids";

/// The statements that append.
#[derive(Debug)]
pub(super) struct Appends {
    one: String,
    group: String,
    last: String,
    known: String,
}

/// What a statement says of one append.
struct Verdict {
    made: bool,
    known: bool,
    version: Version,
    position: Position,
}

impl Verdict {
    /// The event is stored; nothing else is said.
    const KNOWN: Self = Self { made: false, known: true, version: Version::START, position: Position::START };
}

/// The functions that append. Public for tests of what the database does by itself.
impl Postgres {
    #[doc(hidden)]
    pub const APPEND_ONE: &'static str = "append_one_3";
    #[doc(hidden)]
    pub const APPEND_GROUP: &'static str = "append_1";
}

impl Appends {
    pub(super) fn new(schema: &Schema) -> Self {
        let parameters = |count: usize| (1..=count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
        let call = |name: &str, count| schema.sql(&format!("SELECT * FROM {{schema}}.{name}({})", parameters(count)));
        Self {
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
        }
    }

    /// Makes appends that do not depend on each other in one transaction, which is one statement: a future that is
    /// dropped leaves it done or not done, and the connection as it was.
    pub(super) async fn make(&self, pools: &Pools, group: &[&Append]) -> Vec<Outcome> {
        let mut doubt = Doubt::default();
        loop {
            match self.attempt(&pools.writers, group).await {
                Ok(verdicts) => return self.settle(pools, group, verdicts, doubt).await,
                Err(fault) => match doubt.of(fault) {
                    Next::Again(pause) => tokio::time::sleep(pause).await,
                    // Each on its own, so that only those fail that cannot be made. Where the server is busy that is
                    // none, and each would wait as long for it again.
                    Next::Refused(Fault::Said(error))
                        if group.len() > 1 && error.is_refusal() && !error.is_busy() && doubt.since.is_none() =>
                    {
                        let mut outcomes = Vec::with_capacity(group.len());
                        for append in group {
                            outcomes.append(&mut Box::pin(self.make(pools, &[append])).await);
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

    async fn attempt(&self, writers: &Pool, group: &[&Append]) -> Result<Vec<Verdict>, Fault> {
        let client = lend(writers).await?;
        let rows = match group {
            [append] if append.events.len() == 1 => {
                let statement =
                    client.prepare_cached(&self.one).await.map_err(|error| PostgresError::not_sent(&error))?;
                match client.query(&statement, &Single::of(append, &append.events[0]).params()).await {
                    Err(error) if is_known(&error) => return Ok(vec![Verdict::KNOWN]),
                    rows => rows?,
                }
            }
            group => {
                let statement =
                    client.prepare_cached(&self.group).await.map_err(|error| PostgresError::not_sent(&error))?;
                client.query(&statement, &Columns::of(group).params()).await?
            }
        };
        let verdict = |row: &tokio_postgres::Row| -> Result<_, PostgresError> {
            let (version, position) = (Version::new(number(row, 2)?), Position::new(number(row, 3)?));
            Ok(Verdict { made: row.try_get(0)?, known: row.try_get(1)?, version, position })
        };
        Ok(rows.iter().map(verdict).collect::<Result<_, _>>()?)
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

    /// What becomes of an append of whose events some are known: if it was in doubt, it has made them itself where they
    /// were recorded when it began, and stand at the version that it expected. Others are of another append of the same
    /// command.
    async fn known(&self, readers: &Pool, append: &Append, mut doubt: Doubt) -> Outcome {
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

    /// What becomes of an append that stores nothing: it has no events, or some of their ids are stored or given twice.
    pub(super) async fn compare(&self, readers: &Pool, append: &Append) -> Outcome {
        match self.compared(readers, append).await {
            Ok((outcome, _)) => outcome,
            Err(fault) => Err(fault.attempt("append events").into()),
        }
    }

    /// What is stored of an append, and whether all that is was recorded when this one was.
    async fn compared(&self, readers: &Pool, append: &Append) -> Result<(Outcome, bool), Fault> {
        let Append { stream, expected, events } = append;
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let client = lend(readers).await?;
        let (last, known) = (client.prepare_cached(&self.last).await?, client.prepare_cached(&self.known).await?);
        let last = client.query_opt(&last, &[&stream.as_str()]).await?;
        let known = client.query(&known, &[&ids]).await?;
        let (actual, position) = match &last {
            None => (Version::START, Position::START),
            Some(row) => place(row, 0)?,
        };
        let stored: HashMap<Uuid, &tokio_postgres::Row> = known.iter().map(|row| (row.get(0), row)).collect();
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
                // Another server has taken its place, which lacks the last that it had.
                None => return Err(PostgresError::unavailable(FORGOTTEN).into()),
            },
            Ok(Some(appended)) => Ok(appended),
            Err(error) => Err(error),
        };
        Ok((outcome, is_own))
    }
}

/// The connections that append, those that read, those that keep snapshots, those on which projections work, and those
/// that keep their leases.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) writers: Pool,
    pub(super) readers: Pool,
    /// Of their own: aggregates are loaded while snapshots cannot be written. What is asked about snapshots alone is
    /// asked there as well, behind a save that was dropped.
    pub(super) snapshots: Pool,
    pub(super) workers: Pool,
    /// Of their own: a lease is renewed while all workers are at batches.
    pub(super) leases: Pool,
}

/// An event whose id an earlier one of the same append has.
pub(super) fn twice(events: &[NewEvent]) -> Option<&NewEvent> {
    match events {
        [] | [_] => None,
        events => {
            let mut ids = std::collections::HashSet::with_capacity(events.len());
            events.iter().find(|event| !ids.insert(event.id))
        }
    }
}

/// Whether an event was refused because there is one with its id.
fn is_known(error: &tokio_postgres::Error) -> bool {
    let unique = |said: &&DbError| *said.code() == SqlState::UNIQUE_VIOLATION;
    error.as_db_error().filter(unique).is_some_and(|said| said.constraint() == Some("events_event_id_key"))
}

/// The version on which an append was made.
fn before(appended: &Appended) -> Version {
    Version::new(appended.version.get().saturating_sub(appended.events))
}

fn place(row: &tokio_postgres::Row, column: usize) -> Result<(Version, Position), PostgresError> {
    Ok((Version::new(number(row, column)?), Position::new(number(row, column + 1)?)))
}

fn same(row: &tokio_postgres::Row, stream: &StreamId, event: &NewEvent) -> Result<Known, PostgresError> {
    let same = row.try_get::<_, &str>(1)? == stream.as_str()
        && row.try_get::<_, &str>(4)? == event.event_type
        && row.try_get::<_, i64>(5)? == i64::from(event.schema_version)
        && row.try_get::<_, &[u8]>(6)? == event.payload;
    Ok(Known { version: number(row, 2)?, position: number(row, 3)?, same })
}

/// An append that was sent, and about which nothing was heard. It is made again until something is: the server makes it
/// once, because it knows the event ids, and the lock makes it wait for the first one if that is still under way.
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
        // A server that takes no writes for now, as one that is being replaced, has not said what became of the first.
        if error.is_refusal() && !error.is_busy() || since.elapsed() > PATIENCE {
            return Next::Refused(Fault::Said(error.in_doubt(UNKNOWN)));
        }
        let pause = self.pause.map_or(PAUSES.0, |pause| PAUSES.1.min(pause * 2));
        self.pause = Some(pause);
        Next::Again(pause)
    }
}
