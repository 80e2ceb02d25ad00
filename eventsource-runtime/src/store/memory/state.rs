//! What the store in memory keeps: streams in chunks, the feed as places in them, and where each event id is.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use uuid::Uuid;

use crate::domain::{Envelope, EventRef, StoredEvent};
use crate::store::interning::TypeNames;
use crate::store::repetition::{Known, repeated};
use crate::store::{
    AppendError, Appended, Conflict, ExpectedVersion, Filter, NewEvent, Page, Position, StreamId, Version,
};

/// How many events a chunk holds. A reader shares whole chunks; only an append to a chunk that a reader holds copies
/// it.
const CHUNK: usize = 64;
/// How many chunks a reader takes under one lock.
const TAKEN: usize = 4;
/// How many events of the feed are looked at under one lock.
pub(super) const SCANNED: usize = 256;

type Chunk = Arc<Vec<Kept>>;

/// An event as it was appended, and its position. Its stream and version follow from where it lies, so that a fold
/// walks over little memory; what others are given is assembled on request.
#[derive(Clone)]
pub(super) struct Kept {
    event: NewEvent,
    position: Position,
}

impl Kept {
    fn stored(&self, stream: &StreamId, version: Version, types: &mut TypeNames) -> StoredEvent {
        let NewEvent { id, event_type, schema_version, payload, origin } = &self.event;
        let envelope = Envelope {
            id: *id,
            stream: stream.clone(),
            version,
            position: self.position,
            event_type: types.shared(event_type),
            schema_version: *schema_version,
            recorded_at: origin.recorded_at,
            correlation_id: origin.correlation_id,
            causation_id: origin.causation_id,
            metadata: origin.metadata.clone(),
            trace_context: origin.trace_context.clone(),
        };
        StoredEvent::new(envelope, payload.clone())
    }
}

/// Where an event is: its stream, and how many events of it come before.
#[derive(Clone, Copy)]
struct Place {
    stream: usize,
    index: usize,
}

struct Stream {
    id: StreamId,
    full: Vec<Chunk>,
    tail: Chunk,
}

impl Stream {
    fn len(&self) -> usize {
        self.full.len() * CHUNK + self.tail.len()
    }

    fn chunk(&self, number: usize) -> Option<&Chunk> {
        if number == self.full.len() { Some(&self.tail) } else { self.full.get(number) }
    }

    fn get(&self, index: usize) -> Option<&Kept> {
        self.chunk(index / CHUNK)?.get(index % CHUNK)
    }

    fn push(&mut self, event: Kept) {
        Arc::make_mut(&mut self.tail).push(event);
        if self.tail.len() == CHUNK {
            self.full.push(std::mem::take(&mut self.tail));
        }
    }
}

/// Its maps are searched on each call: hashing takes a few instructions, from seeds that differ in each process.
/// Whoever can choose ids freely may still find some that collide, which a store of one process can live with.
#[derive(Default)]
pub(super) struct State {
    streams: HashMap<StreamId, usize, RandomState>,
    contents: Vec<Stream>,
    feed: Vec<Place>,
    ids: HashMap<u128, Place, RandomState>,
}

impl State {
    pub(super) fn head(&self) -> Position {
        Position::new(self.feed.len() as u64)
    }

    pub(super) fn append(
        &mut self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let found = self.streams.get(stream).copied();
        let length = found.and_then(|number| self.contents.get(number)).map_or(0, Stream::len);
        let actual = Version::new(length as u64);
        if !expected.admits(actual) {
            return match self.repeated(stream, &events)? {
                Some(appended) => Ok(appended),
                None => Err(Conflict::new(stream.clone(), expected, actual).into()),
            };
        }
        if events.is_empty() {
            let last = found.and_then(|number| self.contents.get(number)?.get(length.checked_sub(1)?));
            return Ok(Appended::new(actual, last.map_or(Position::START, |event| event.position), 0));
        }
        let place = Place { stream: found.unwrap_or(self.contents.len()), index: length };
        if let Err(id) = self.reserve(place, &events) {
            return match self.repeated(stream, &events)? {
                Some(appended) => Ok(appended),
                None => Err(AppendError::mismatch(stream.clone(), id)),
            };
        }
        if found.is_none() {
            self.streams.insert(stream.clone(), place.stream);
            self.contents.push(Stream { id: stream.clone(), full: Vec::new(), tail: Chunk::default() });
        }
        let count = events.len() as u64;
        self.push(place, events);
        Ok(Appended::new(Version::new(actual.get() + count), self.head(), count))
    }

    /// Notes where each event will be; an id that is already stored, or twice in the batch, undoes all of it.
    fn reserve(&mut self, place: Place, events: &[NewEvent]) -> Result<(), Uuid> {
        for (ordinal, event) in events.iter().enumerate() {
            let at = Place { index: place.index + ordinal, ..place };
            if let Some(known) = self.ids.insert(event.id.as_u128(), at) {
                self.ids.insert(event.id.as_u128(), known);
                for (earlier, event) in events[..ordinal].iter().enumerate() {
                    // Within the batch, the known place may be one of ours.
                    if self
                        .ids
                        .get(&event.id.as_u128())
                        .is_some_and(|at| at.stream == place.stream && at.index == place.index + earlier)
                    {
                        self.ids.remove(&event.id.as_u128());
                    }
                }
                return Err(event.id);
            }
        }
        Ok(())
    }

    fn push(&mut self, place: Place, events: Vec<NewEvent>) {
        let Self { contents, feed, .. } = self;
        let Some(stream) = contents.get_mut(place.stream) else { return };
        for (event, index) in events.into_iter().zip(place.index..) {
            feed.push(Place { index, ..place });
            stream.push(Kept { event, position: Position::new(feed.len() as u64) });
        }
    }

    /// The result of the append that stored these same events, if one did.
    fn repeated(&self, stream: &StreamId, events: &[NewEvent]) -> Result<Option<Appended>, AppendError> {
        repeated(stream, events, |event| {
            let Some(place) = self.ids.get(&event.id.as_u128()).copied() else { return Ok(None) };
            let known = self.at(place).filter(|_| self.holds(place, stream));
            Ok(Some(Known {
                version: version(place.index).get(),
                position: known.map_or(0, |known| known.position.get()),
                same: known.is_some_and(|known| same(event, &known.event)),
            }))
        })
    }

    fn at(&self, place: Place) -> Option<&Kept> {
        self.contents.get(place.stream)?.get(place.index)
    }

    /// Where the append that stored an event of this stream ended: the events of one append share their cause and time.
    pub(super) fn earlier(&self, stream: &StreamId, id: Uuid) -> Option<Appended> {
        let place = *self.ids.get(&id.as_u128())?;
        let first = self.at(place).filter(|_| self.holds(place, stream))?;
        let cause = |kept: &Kept| (kept.event.origin.causation_id, kept.event.origin.recorded_at);
        let (mut last, mut count) = (first, 1);
        while let Some(next) = self.at(Place { index: place.index + count, ..place })
            && cause(next) == cause(first)
        {
            last = next;
            count += 1;
        }
        let version = Version::new((place.index + count) as u64);
        Some(Appended::new(version, last.position, count as u64).repeated())
    }

    /// Whether the place is in that stream.
    fn holds(&self, place: Place, stream: &StreamId) -> bool {
        self.contents.get(place.stream).is_some_and(|holder| holder.id == *stream)
    }

    /// The chunks of a stream that begin after a version, as many as are taken at once.
    pub(super) fn chunks(&self, stream: &StreamId, after: Version) -> Chunks {
        let found = self.streams.get(stream).and_then(|number| self.contents.get(*number));
        let (Some(stream), Ok(after)) = (found, usize::try_from(after.get())) else { return Chunks::default() };
        if after >= stream.len() {
            return Chunks::default();
        }
        let first = after / CHUNK;
        let taken = std::array::from_fn(|number| stream.chunk(first + number).cloned());
        Chunks { taken, before: first * CHUNK, skip: after % CHUNK, more: first + TAKEN <= stream.full.len() }
    }

    /// Adds to a page what one look at the feed shows; false when the page is full or the feed ends.
    pub(super) fn scan(&self, page: &mut Page, filter: &Filter, limit: usize) -> bool {
        let from = usize::try_from(page.scanned.get()).unwrap_or(usize::MAX);
        let Some(rest) = self.feed.get(from..) else { return false };
        let mut types = TypeNames::default();
        for place in rest.iter().take(SCANNED) {
            let Some(stream) = self.contents.get(place.stream) else { continue };
            let Some(kept) = stream.get(place.index) else { continue };
            if page.events.len() == limit {
                return false;
            }
            page.scanned = kept.position;
            if filter.shows(kept.event.event_type, stream.id.aggregate_type()) {
                page.events.push(kept.stored(&stream.id, version(place.index), &mut types));
            }
        }
        rest.len() > SCANNED
    }
}

/// Whether an event has the content stored under its id. The time of its decision and its trace may differ.
fn same(event: &NewEvent, known: &NewEvent) -> bool {
    known.event_type == event.event_type
        && known.schema_version == event.schema_version
        && known.payload == event.payload
}

/// The version of the event at an index of its stream.
const fn version(index: usize) -> Version {
    Version::new(index as u64 + 1)
}

/// Chunks of a stream as a reader holds them, outside the lock.
#[derive(Default)]
pub(super) struct Chunks {
    taken: [Option<Chunk>; TAKEN],
    /// How many events of the stream lie before the first chunk, and how many of that chunk to skip.
    before: usize,
    skip: usize,
    more: bool,
}

impl Chunks {
    pub(super) fn is_empty(&self) -> bool {
        self.taken[0].is_none()
    }

    /// Whether these reach the end that the stream had when they were taken.
    pub(super) fn are_last(&self) -> bool {
        !self.more
    }

    /// For a fold, which borrows what it looks at.
    pub(super) fn events<'a>(&'a self, stream: &'a StreamId) -> impl Iterator<Item = EventRef<'a>> {
        self.kept().map(move |(version, kept)| {
            let NewEvent { event_type, schema_version, payload, .. } = &kept.event;
            EventRef::new(stream, (version, kept.position), (event_type, *schema_version), payload)
        })
    }

    /// For a reader, which keeps what it gets.
    pub(super) fn stored<'a>(&'a self, stream: &'a StreamId) -> impl Iterator<Item = StoredEvent> {
        let mut types = TypeNames::default();
        self.kept().map(move |(version, kept)| kept.stored(stream, version, &mut types))
    }

    fn kept(&self) -> impl Iterator<Item = (Version, &Kept)> {
        let kept = self.taken.iter().flatten().flat_map(|chunk| chunk.iter()).skip(self.skip);
        (self.before + self.skip..).map(version).zip(kept)
    }
}
