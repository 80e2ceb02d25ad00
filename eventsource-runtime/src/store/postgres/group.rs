//! Appends to be sent in one statement.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
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

/// The parameters of `append_1`, by column.
pub(super) struct Columns<'a> {
    streams: Vec<&'a str>,
    expectations: Vec<i64>,
    firsts: Vec<i32>,
    lengths: Vec<i32>,
    ids: Vec<Uuid>,
    types: Vec<&'a str>,
    schemas: Vec<i64>,
    times: Vec<i64>,
    correlations: Vec<Option<Uuid>>,
    causations: Vec<Option<Uuid>>,
    metadatas: Vec<Option<String>>,
    parents: Vec<Option<String>>,
    states: Vec<Option<&'a str>>,
    payloads: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(group: &[&'a Append]) -> Self {
        let count = group.iter().map(|append| append.events.len()).sum();
        let mut columns = Self {
            streams: group.iter().map(|append| append.stream.as_str()).collect(),
            expectations: group.iter().map(|append| append.expectation()).collect(),
            firsts: Vec::with_capacity(group.len()),
            lengths: Vec::with_capacity(group.len()),
            ids: Vec::with_capacity(count),
            types: Vec::with_capacity(count),
            schemas: Vec::with_capacity(count),
            times: Vec::with_capacity(count),
            correlations: Vec::with_capacity(count),
            causations: Vec::with_capacity(count),
            metadatas: Vec::with_capacity(count),
            parents: Vec::with_capacity(count),
            states: Vec::with_capacity(count),
            payloads: Vec::with_capacity(count),
        };
        for append in group {
            columns.firsts.push(whole(columns.ids.len() + 1));
            columns.lengths.push(whole(append.events.len()));
            append.events.iter().for_each(|event| columns.push(event));
        }
        columns
    }

    fn push(&mut self, event: &'a NewEvent) {
        let origin = &*event.origin;
        self.ids.push(event.id);
        self.types.push(event.event_type);
        self.schemas.push(i64::from(event.schema_version));
        self.times.push(origin.recorded_at.as_micros());
        self.correlations.push(origin.correlation_id);
        self.causations.push(origin.causation_id);
        self.metadatas.push(metadata_text(&origin.metadata));
        self.parents.push(origin.trace_context.as_ref().map(ToString::to_string));
        self.states.push(origin.trace_context.as_ref().and_then(|context| context.tracestate()));
        self.payloads.push(&event.payload);
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.streams,
            &self.expectations,
            &self.firsts,
            &self.lengths,
            &self.ids,
            &self.types,
            &self.schemas,
            &self.times,
            &self.correlations,
            &self.causations,
            &self.metadatas,
            &self.parents,
            &self.states,
            &self.payloads,
        ]
    }
}

fn whole(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The parameters of `append_one_1`.
pub(super) struct Single<'a> {
    stream: &'a str,
    expectation: i64,
    event: &'a NewEvent,
    schema: i64,
    time: i64,
    metadata: Option<String>,
    parent: Option<String>,
    state: Option<&'a str>,
    payload: &'a [u8],
}

impl<'a> Single<'a> {
    pub(super) fn of(append: &'a Append, event: &'a NewEvent) -> Self {
        let origin = &*event.origin;
        Self {
            stream: append.stream.as_str(),
            expectation: append.expectation(),
            event,
            schema: i64::from(event.schema_version),
            time: origin.recorded_at.as_micros(),
            metadata: metadata_text(&origin.metadata),
            parent: origin.trace_context.as_ref().map(ToString::to_string),
            state: origin.trace_context.as_ref().and_then(|context| context.tracestate()),
            payload: &event.payload,
        }
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 12] {
        [
            &self.stream,
            &self.expectation,
            &self.event.id,
            &self.event.event_type,
            &self.schema,
            &self.time,
            &self.event.origin.correlation_id,
            &self.event.origin.causation_id,
            &self.metadata,
            &self.parent,
            &self.state,
            &self.payload,
        ]
    }
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
