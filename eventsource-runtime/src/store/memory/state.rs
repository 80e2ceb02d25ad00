//! What the store in memory keeps: streams in chunks, the feed as places in them, and where each event id is.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{Envelope, StoredEvent};
use crate::store::{
    AppendError, Appended, Conflict, ExpectedVersion, Filter, NewEvent, Page, Position, StreamId, Version,
};

/// How many events a chunk holds. A reader shares whole chunks; only an append to a chunk that a reader holds copies it.
const CHUNK: usize = 64;
/// How many chunks a reader takes under one lock.
const TAKEN: usize = 4;
/// How many events of the feed are looked at under one lock.
pub(super) const SCANNED: usize = 256;

type Chunk = Arc<Vec<StoredEvent>>;

/// Where an event is: which stream, and how many events of it come before.
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

    fn get(&self, index: usize) -> Option<&StoredEvent> {
        self.chunk(index / CHUNK)?.get(index % CHUNK)
    }

    fn push(&mut self, event: StoredEvent) {
        Arc::make_mut(&mut self.tail).push(event);
        if self.tail.len() == CHUNK {
            self.full.push(std::mem::take(&mut self.tail));
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    streams: HashMap<StreamId, usize>,
    contents: Vec<Stream>,
    feed: Vec<Place>,
    ids: HashMap<u128, Place, Seeded>,
    /// The names of event types, so that an event shares its name with the others of its type.
    names: Vec<(&'static str, Arc<str>)>,
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
                None => Err(AppendError::IdempotencyMismatch { stream: stream.clone(), id }),
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

    /// Notes where each event will be; the id of one that is there already, or twice in the batch, undoes all of it.
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
        let Self { contents, feed, names, .. } = self;
        let Some(stream) = contents.get_mut(place.stream) else { return };
        for (event, index) in events.into_iter().zip(place.index..) {
            feed.push(Place { index, ..place });
            let envelope = Envelope {
                id: event.id,
                stream: stream.id.clone(),
                version: Version::new(index as u64 + 1),
                position: Position::new(feed.len() as u64),
                event_type: interned(names, event.event_type),
                schema_version: event.schema_version,
                recorded_at: event.origin.recorded_at,
                correlation_id: event.origin.correlation_id,
                causation_id: event.origin.causation_id,
                metadata: event.origin.metadata.clone(),
                trace_context: event.origin.trace_context.clone(),
            };
            stream.push(StoredEvent::new(envelope, event.payload));
        }
    }

    /// The result of the append that stored these very events, if one did.
    fn repeated(&self, stream: &StreamId, events: &[NewEvent]) -> Result<Option<Appended>, AppendError> {
        let mut stored = events.iter().map(|event| (event, self.by_id(event.id)));
        let Some((event, Some(first))) = stored.next() else {
            // What is new at first must be new throughout: no part of an append is ever stored.
            return match stored.find(|(_, known)| known.is_some()) {
                Some((event, _)) => Err(AppendError::IdempotencyMismatch { stream: stream.clone(), id: event.id }),
                None => Ok(None),
            };
        };
        let rest = stored.map(|(event, known)| known.map(|known| (event, known)).ok_or(event));
        let mut last = first;
        for (pair, version) in std::iter::once(Ok((event, first))).chain(rest).zip(first.version.get()..) {
            let mismatch = |event: &NewEvent| AppendError::IdempotencyMismatch { stream: stream.clone(), id: event.id };
            let (event, known) = pair.map_err(mismatch)?;
            if known.stream != *stream || known.version != version || !same(event, known) {
                return Err(mismatch(event));
            }
            last = known;
        }
        Ok(Some(Appended::new(last.version, last.position, events.len() as u64).repeated()))
    }

    fn by_id(&self, id: Uuid) -> Option<&StoredEvent> {
        self.at(*self.ids.get(&id.as_u128())?)
    }

    fn at(&self, place: Place) -> Option<&StoredEvent> {
        self.contents.get(place.stream)?.get(place.index)
    }

    /// Where the append ended that stored an event of this stream: the events of one append share their cause and time.
    pub(super) fn earlier(&self, stream: &StreamId, id: Uuid) -> Option<Appended> {
        let place = *self.ids.get(&id.as_u128())?;
        let first = self.at(place).filter(|first| first.stream == *stream)?;
        let (mut last, mut count) = (first, 1);
        while let Some(next) = self.at(Place { index: place.index + count, ..place })
            && (next.causation_id, next.recorded_at) == (first.causation_id, first.recorded_at)
        {
            last = next;
            count += 1;
        }
        Some(Appended::new(last.version, last.position, count as u64).repeated())
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
        Chunks { taken, skip: after % CHUNK, more: first + TAKEN <= stream.full.len() }
    }

    /// Adds to a page what one look at the feed shows; false when the page is full or the feed ends.
    pub(super) fn scan(&self, page: &mut Page, filter: &Filter, limit: usize) -> bool {
        let from = usize::try_from(page.scanned.get()).unwrap_or(usize::MAX);
        let Some(rest) = self.feed.get(from..) else { return false };
        for event in rest.iter().take(SCANNED).filter_map(|place| self.at(*place)) {
            if page.events.len() == limit {
                return false;
            }
            page.scanned = event.position;
            if filter.shows(&event.event_type, event.stream.aggregate_type()) {
                page.events.push(event.clone());
            }
        }
        rest.len() > SCANNED
    }
}

/// Whether an event has the content under which its id is stored. When it was decided, and in which trace, may differ.
fn same(event: &NewEvent, known: &StoredEvent) -> bool {
    *known.event_type == *event.event_type
        && known.schema_version == event.schema_version
        && *known.payload() == event.payload
}

fn interned(names: &mut Vec<(&'static str, Arc<str>)>, name: &'static str) -> Arc<str> {
    if let Some((_, known)) = names.iter().find(|(known, _)| *known == name) {
        return Arc::clone(known);
    }
    let made: Arc<str> = name.into();
    names.push((name, Arc::clone(&made)));
    made
}

/// Chunks of a stream as a reader holds them, outside the lock.
#[derive(Default)]
pub(super) struct Chunks {
    taken: [Option<Chunk>; TAKEN],
    skip: usize,
    more: bool,
}

impl Chunks {
    pub(super) fn is_empty(&self) -> bool {
        self.taken[0].is_none()
    }

    /// Whether these go to the end that the stream had when they were taken.
    pub(super) fn are_last(&self) -> bool {
        !self.more
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &StoredEvent> {
        self.taken.iter().flatten().flat_map(|chunk| chunk.iter()).skip(self.skip)
    }
}

/// Hashes event ids, which are mostly random or ascending, in a few instructions. It is seeded, so that nobody can
/// choose ids that collide.
struct Seeded {
    seeds: [u64; 2],
}

impl Default for Seeded {
    fn default() -> Self {
        let random = RandomState::new();
        Self { seeds: [random.hash_one(1), random.hash_one(2)] }
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { seeds: self.seeds, hash: 0 }
    }
}

struct Folding {
    seeds: [u64; 2],
    hash: u64,
}

impl Hasher for Folding {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a number, one by one")]
    fn write_u128(&mut self, number: u128) {
        let (low, high) = (number as u64, (number >> 64) as u64);
        let product = u128::from(low ^ self.seeds[0]) * u128::from(high ^ self.seeds[1]);
        self.hash ^= product as u64 ^ (product >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte) ^ u128::from(self.hash));
        }
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
