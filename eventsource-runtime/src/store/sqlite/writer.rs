//! The writer thread: appends in groups, and everything else one by one.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::append;
use super::connection::{begin, commit, rollback};
use super::log::Log;
use super::queue::Queue;
use super::threads::{self, Job};
use super::turns::Turn;
use crate::store::head::Head;
use crate::store::{AppendError, Appended, ExpectedVersion, NewEvent, Position, StoreError, StreamId};

/// How many appends share a commit at most.
const GROUP: usize = 256;

/// What the writer is asked to do.
pub(super) enum Command {
    Append(Append),
    Job(Job),
}

/// An append, and where its answer goes.
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedVersion,
    pub(super) events: Vec<NewEvent>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

type Outcome = Result<Appended, AppendError>;

/// Runs what is queued, in order, until the queue is closed and empty.
pub(super) fn run(connection: &Connection, queue: &Queue<Command>, head: &Head, mut log: Log, mut turn: Turn) {
    let mut commands = Vec::with_capacity(GROUP);
    let mut group = Vec::with_capacity(GROUP);
    let mut done = Instant::now();
    while queue.take(GROUP, &mut commands) {
        turn.was_free(done);
        let is_alone = commands.len() == 1;
        for command in commands.drain(..) {
            match command {
                // Its caller has gone before it began.
                Command::Append(append) if append.reply.is_closed() => {}
                Command::Append(append) => group.push(append),
                Command::Job(job) => {
                    write(connection, head, &mut group, &mut || ());
                    turn.go_on();
                    threads::run(job, connection);
                }
            }
        }
        turn.go_on();
        let mut is_large = None;
        write(connection, head, &mut group, &mut || {
            let large = *is_large.insert(log.is_large());
            // A lone caller takes its next step at once; with many, the reader threads take what comes.
            if is_alone && !large {
                queue.about_to_watch();
            }
        });
        if is_large.unwrap_or_else(|| log.is_large()) {
            log.empty(connection);
        }
        done = Instant::now();
    }
}

/// Why a group was not committed.
enum Failure {
    /// The transaction did not begin or did not commit, whatever was in it.
    Whole(&'static str, rusqlite::Error),
    /// One of its appends met a database error, and nothing can be said of the others.
    Statement(StoreError),
}

/// Makes the appends of a group and answers them; `done` is called before they are answered.
fn write(connection: &Connection, head: &Head, group: &mut Vec<Append>, done: &mut dyn FnMut()) {
    if group.is_empty() {
        return;
    }
    let attempted = attempt(connection, group);
    done();
    match attempted {
        Ok(outcomes) => answer(head, group.drain(..).zip(outcomes)),
        Err(Failure::Whole(attempted, error)) => {
            let error = Arc::new(error);
            for append in group.drain(..) {
                let _ = append.reply.send(Err(StoreError::backend(attempted, Arc::clone(&error)).into()));
            }
        }
        Err(Failure::Statement(error)) if group.len() == 1 => {
            answer(head, group.drain(..).zip([Err(AppendError::Store(error))]));
        }
        // Each on its own, so that only those fail that cannot be made.
        Err(Failure::Statement(_)) => {
            for append in std::mem::take(group) {
                write(connection, head, &mut vec![append], &mut || ());
            }
        }
    }
}

/// Makes a group of appends in one transaction.
fn attempt(connection: &Connection, group: &[Append]) -> Result<Vec<Outcome>, Failure> {
    begin(connection).map_err(|error| Failure::Whole("begin an append", error))?;
    let mut outcomes = Vec::with_capacity(group.len());
    for append in group {
        match append::append(connection, &append.stream, append.expected, &append.events) {
            Err(AppendError::Store(error)) => {
                rollback(connection);
                return Err(Failure::Statement(error));
            }
            outcome => outcomes.push(outcome),
        }
    }
    commit(connection).map_err(|error| Failure::Whole("commit an append", error))?;
    Ok(outcomes)
}

fn answer(head: &Head, outcomes: impl Iterator<Item = (Append, Outcome)>) {
    let mut last = Position::START;
    for (append, outcome) in outcomes {
        if let Ok(appended) = &outcome {
            last = last.max(appended.position);
        }
        // A caller that has gone is told nothing; what was committed stays.
        let _ = append.reply.send(outcome);
    }
    head.publish(last);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use uuid::Uuid;

    use super::super::schema;
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Origin;

    fn append(stream: u32, event: u128) -> Append {
        let origin = Arc::new(Origin::at(Timestamp::from_micros(0)));
        let id = Uuid::from_u128(event);
        let event = NewEvent { id, event_type: "Placed", schema_version: 1, payload: "{}".into(), origin };
        let (stream, expected) = (StreamId::new("Order", stream), ExpectedVersion::Any);
        Append { stream, expected, events: vec![event], reply: oneshot::channel().0 }
    }

    /// Snapshots and leases are written on the same connection without waiting for the disk.
    #[test]
    fn appends_wait_for_the_disk_as_the_connection_is_set_to() {
        let (connection, head) = (Connection::open_in_memory().unwrap(), Head::default());
        schema::migrate(&connection).unwrap();
        let notes = "CREATE TEMP TABLE notes (synchronous INTEGER); \
            CREATE TEMP TRIGGER notes AFTER INSERT ON main.events BEGIN \
                INSERT INTO notes SELECT synchronous FROM pragma_synchronous; END";
        connection.execute_batch(notes).unwrap();
        for (set, event) in [(1, 1), (2, 2)] {
            connection.pragma_update(None, "synchronous", set).unwrap();
            write(&connection, &head, &mut vec![append(1, event)], &mut || ());
            let last = "DELETE FROM notes RETURNING synchronous";
            assert_eq!(connection.query_row(last, [], |row| row.get::<_, i64>(0)).unwrap(), set);
        }
    }

    /// It stands far behind what its group has stored.
    #[test]
    fn who_waits_for_the_feed_is_told_of_a_group_that_ends_with_a_repeated_append() {
        let (connection, head) = (Connection::open_in_memory().unwrap(), Head::default());
        schema::migrate(&connection).unwrap();
        let write = |mut group| write(&connection, &head, &mut group, &mut || ());
        write(vec![append(1, 1), append(2, 2)]);
        write(vec![append(3, 3), append(1, 1)]);
        let mut task = Context::from_waker(Waker::noop());
        assert!(pin!(head.beyond(Position::new(2))).poll(&mut task).is_ready());
        assert!(pin!(head.beyond(Position::new(3))).poll(&mut task).is_pending());
    }
}
