//! Appends to be sent in one statement.

use std::collections::{HashSet, VecDeque};

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

/// Takes appends off a queue that do not depend on each other: no two of one stream, no event id twice. Those that have
/// to wait stay, in order; those whose callers have gone are dropped before they begin.
pub(super) fn take(queue: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let mut group: Vec<Waiting> = Vec::new();
    let (mut streams, mut ids) = (HashSet::new(), HashSet::<Uuid>::new());
    let mut bytes = 0;
    for _ in 0..queue.len() {
        let Some(waiting) = queue.pop_front() else { break };
        if waiting.reply.is_closed() {
            continue;
        }
        let append = &waiting.append;
        let size = append.bytes();
        let has_room = group.is_empty() || (group.len() < MOST && bytes + size <= MOST_BYTES);
        let stands_alone =
            !streams.contains(&append.stream) && append.events.iter().all(|event| !ids.contains(&event.id));
        // Even one that has to wait is noted, so that no other of its stream overtakes it.
        streams.insert(append.stream.clone());
        if has_room && stands_alone {
            ids.extend(append.events.iter().map(|event| event.id));
            bytes += size;
            group.push(waiting);
        } else {
            queue.push_back(waiting);
        }
    }
    group
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

/// The parameters of `append_one_3`.
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
