//! Appends to be sent in one statement.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use uuid::Uuid;

use crate::store::columns::{metadata_text, signed};
use crate::store::{AppendError, Appended, ExpectedVersion, NewEvent, StreamId};

/// How many appends share a commit at most.
const MOST: usize = 256;
/// How many bytes share a commit at most, unless a single append has more: the payloads, and for each event about as
/// much as the rest of its row, so that many small ones do not exceed a time limit.
const MOST_BYTES: usize = 4 * 1024 * 1024;
const ROW: usize = 512;

/// What one caller wants stored.
pub(super) struct Append {
    pub(super) stream: StreamId,
    pub(super) expected: ExpectedVersion,
    pub(super) events: Vec<NewEvent>,
}

pub(super) type Outcome = Result<Appended, AppendError>;

impl Append {
    fn bytes(&self) -> usize {
        self.events.iter().map(|event| ROW + event.bytes()).sum()
    }

    /// The expectation as the statements take it.
    fn expectation(&self) -> i64 {
        match self.expected {
            ExpectedVersion::Any => -1,
            ExpectedVersion::Exists => -2,
            ExpectedVersion::NoStream => 0,
            ExpectedVersion::Exact(version) => signed(version.get()),
        }
    }
}

/// An append, and where its answer goes.
pub(super) struct Waiting {
    pub(super) append: Append,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Appends that wait for a commit, by stream: those of one stream need a commit each, however many there are.
#[derive(Default)]
pub(super) struct Queue {
    /// The streams that have some, in the order of their turns.
    turns: VecDeque<StreamId>,
    waiting: HashMap<StreamId, VecDeque<Waiting>>,
    count: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.count += 1;
        match self.waiting.entry(waiting.append.stream.clone()) {
            Entry::Occupied(of_stream) => of_stream.into_mut().push_back(waiting),
            Entry::Vacant(stream) => {
                self.turns.push_back(stream.key().clone());
                stream.insert(VecDeque::from([waiting]));
            }
        }
    }

    /// Takes appends that do not depend on each other: no two of one stream, no event id twice. Those that have to wait
    /// stay, in order; those whose callers have gone are dropped before they begin.
    pub(super) fn take(&mut self) -> Vec<Waiting> {
        let (mut group, mut ids, mut bytes) = (Vec::new(), HashSet::<Uuid>::new(), 0);
        let (mut left, mut again) = (Vec::new(), Vec::new());
        while group.len() < MOST
            && let Some(stream) = self.turns.pop_front()
        {
            let Some(first) = self.first(&stream) else { continue };
            let size = first.append.bytes();
            let has_room = group.is_empty() || bytes + size <= MOST_BYTES;
            if !has_room || first.append.events.iter().any(|event| ids.contains(&event.id)) {
                left.push(stream);
                continue;
            }
            bytes += size;
            ids.extend(first.append.events.iter().map(|event| event.id));
            group.extend(self.pop(&stream));
            again.push(stream);
        }
        left.into_iter().rev().for_each(|stream| self.turns.push_front(stream));
        again.retain(|stream| self.waiting.contains_key(stream));
        self.turns.extend(again);
        group
    }

    /// The first of a stream whose caller is still there.
    fn first(&mut self, stream: &StreamId) -> Option<&Waiting> {
        while self.waiting.get(stream)?.front()?.reply.is_closed() {
            self.pop(stream);
        }
        self.waiting.get(stream)?.front()
    }

    fn pop(&mut self, stream: &StreamId) -> Option<Waiting> {
        let of_stream = self.waiting.get_mut(stream)?;
        let first = of_stream.pop_front()?;
        if of_stream.is_empty() {
            self.waiting.remove(stream);
        }
        self.count -= 1;
        Some(first)
    }
}

/// Sends a group to `append_1`.
pub(super) async fn send(client: &Client, statement: &Statement, group: &[&Append]) -> Result<Vec<Row>, Error> {
    let events: Vec<&NewEvent> = group.iter().flat_map(|append| &append.events).collect();
    let lengths: Vec<i32> = group.iter().map(|append| whole(append.events.len())).collect();
    let mut next = 1;
    let place = |length: &i32| {
        next += length;
        next - length
    };
    let firsts: Vec<i32> = lengths.iter().map(place).collect();
    let params: [&(dyn ToSql + Sync); 14] = [
        &group.iter().map(|append| append.stream.as_str()).collect::<Vec<_>>(),
        &group.iter().map(|append| append.expectation()).collect::<Vec<_>>(),
        &firsts,
        &lengths,
        &column(&events, |event| event.id),
        &column(&events, |event| event.event_type),
        &column(&events, |event| i64::from(event.schema_version)),
        &column(&events, |event| event.origin.recorded_at.as_micros()),
        &column(&events, |event| event.origin.correlation_id),
        &column(&events, |event| event.origin.causation_id),
        &column(&events, |event| metadata_text(&event.origin.metadata)),
        &column(&events, parent),
        &column(&events, state),
        &column(&events, |event| &*event.payload),
    ];
    client.query(statement, &params).await
}

/// Sends an append of one event, to `append_one_1` or the query that does the same.
pub(super) async fn send_one(
    client: &Client,
    statement: &Statement,
    append: &Append,
    event: &NewEvent,
) -> Result<Vec<Row>, Error> {
    let params: [&(dyn ToSql + Sync); 12] = [
        &append.stream.as_str(),
        &append.expectation(),
        &event.id,
        &event.event_type,
        &i64::from(event.schema_version),
        &event.origin.recorded_at.as_micros(),
        &event.origin.correlation_id,
        &event.origin.causation_id,
        &metadata_text(&event.origin.metadata),
        &parent(event),
        &state(event),
        &&*event.payload,
    ];
    client.query(statement, &params).await
}

fn column<'a, T>(events: &[&'a NewEvent], of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
    events.iter().copied().map(of).collect()
}

fn parent(event: &NewEvent) -> Option<String> {
    event.origin.trace_context.as_ref().map(ToString::to_string)
}

fn state(event: &NewEvent) -> Option<&str> {
    event.origin.trace_context.as_ref()?.tracestate()
}

fn whole(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Origin;

    fn append(queue: &mut Queue, stream: &str, id: u128) -> oneshot::Receiver<Outcome> {
        let (reply, answer) = oneshot::channel();
        let origin = Arc::new(Origin::at(Timestamp::from_micros(0)));
        let id = Uuid::from_u128(id);
        let event = NewEvent { id, event_type: "Placed", schema_version: 1, payload: "{}".into(), origin };
        let append =
            Append { stream: StreamId::new("Order", stream), expected: ExpectedVersion::Any, events: vec![event] };
        queue.push(Waiting { append, reply });
        answer
    }

    fn taken(queue: &mut Queue) -> Vec<u128> {
        queue.take().iter().map(|waiting| waiting.append.events[0].id.as_u128()).collect()
    }

    /// All that waited were looked at and put back for each commit.
    #[test]
    fn many_appends_to_one_stream_take_turns_with_those_to_others() {
        let mut queue = Queue::default();
        let answers: Vec<_> = (0..10_000).map(|id| append(&mut queue, "busy", id)).collect();
        let _others = [append(&mut queue, "one", 20_000), append(&mut queue, "other", 20_001)];
        assert_eq!((taken(&mut queue), queue.len()), (vec![0, 20_000, 20_001], 9_999));
        let _next = append(&mut queue, "one", 20_002);
        assert_eq!(taken(&mut queue), [1, 20_002]);
        drop(answers);
        assert_eq!((taken(&mut queue), queue.len()), (vec![], 0), "nobody waits for them any more");
    }

    #[test]
    fn what_has_to_wait_is_taken_first_the_next_time() {
        let mut queue = Queue::default();
        let _answers = [("a", 1), ("b", 1), ("c", 2), ("a", 3)].map(|(stream, id)| append(&mut queue, stream, id));
        assert_eq!(taken(&mut queue), [1, 2]);
        let of_b = queue.take();
        assert_eq!(
            of_b.iter().map(|waiting| waiting.append.stream.as_str()).collect::<Vec<_>>(),
            ["Order-b", "Order-a"]
        );
    }
}
