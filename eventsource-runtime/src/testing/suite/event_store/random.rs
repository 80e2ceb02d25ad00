//! Random sequential calls, on a store and on a model of it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::{
    Appended, Arc, EventStore, ExpectedVersion, Filter, NewEvent, Origin, Position, StreamId, Timestamp, Uuid, Version,
    an_event, events, feed_after,
};
use crate::domain::EventRef;
use crate::store::{Fold, Visitor};
use crate::testing::history::{Seen, append};

/// How many seeds are run; a failure names its own.
const SEEDS: u64 = 30;
const CALLS: usize = 40;

/// Where an event is, in its stream and in the feed.
type Place = (Version, Position);

/// An event that was stored.
struct Known {
    stream: StreamId,
    event: NewEvent,
    place: Place,
}

/// An append that was made, and the id of its first event.
struct Made {
    stream: StreamId,
    first: Uuid,
    appended: Appended,
}

/// What the store should be: streams, and the order in which everything was appended.
#[derive(Default)]
struct Model {
    streams: HashMap<StreamId, Vec<Uuid>>,
    feed: Vec<Uuid>,
    known: HashMap<Uuid, Known>,
    made: Vec<Made>,
}

impl Model {
    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, |ids| ids.len() as u64)
    }

    fn append(&mut self, stream: &StreamId, expected: ExpectedVersion, events: &[NewEvent]) -> Seen {
        let is_another = |event: &NewEvent| {
            let known = self.known.get(&event.id);
            known.is_some_and(|known| known.stream != *stream || known.event.payload != event.payload)
        };
        if events.iter().any(is_another) {
            return Seen::Mismatch;
        }
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        append(self.streams.entry(stream.clone()).or_default(), expected, &ids)
    }

    /// Notes where the store says that the last of these events is.
    fn note(&mut self, stream: &StreamId, events: &[NewEvent], appended: Appended) {
        self.made.push(Made { stream: stream.clone(), first: events[0].id, appended });
        for (event, before_last) in events.iter().zip((0..appended.events).rev()) {
            let version = Version::new(appended.version.get() - before_last);
            let position = Position::new(appended.position.get() - before_last);
            assert!(position > self.head(), "{position} was not free");
            self.feed.push(event.id);
            let known = Known { stream: stream.clone(), event: event.clone(), place: (version, position) };
            self.known.insert(event.id, known);
        }
    }

    fn place(&self, id: Uuid) -> Place {
        self.known[&id].place
    }

    /// The position of the last event.
    fn head(&self) -> Position {
        self.feed.last().map_or(Position::START, |last| self.place(*last).1)
    }

    /// At most so many events of a stream after a version, and where they are.
    fn stream(&self, stream: &StreamId, after: usize, limit: usize) -> Vec<(Uuid, Place)> {
        let ids = self.streams.get(stream).map_or(&[][..], |ids| ids.get(after..).unwrap_or_default());
        ids.iter().take(limit).map(|id| (*id, self.place(*id))).collect()
    }

    /// What is shown of the feed after a position: what each of the two lists names, of those that there are.
    fn shown(&self, after: Position, types: Option<&[&str]>, aggregates: Option<&[&str]>) -> Vec<(Uuid, Position)> {
        let names = |list: Option<&[&str]>, name: &str| list.is_none_or(|list| list.contains(&name));
        let shown = self.feed.iter().map(|id| (*id, &self.known[id])).filter(|(_, known)| {
            let aggregate = known.stream.aggregate_type();
            known.place.1 > after && names(types, known.event.event_type) && names(aggregates, aggregate)
        });
        shown.map(|(id, known)| (id, known.place.1)).collect()
    }
}

/// The same numbers for the same seed.
pub(in crate::testing) struct Random(pub(in crate::testing) u64);

impl Random {
    pub(in crate::testing) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap_or_default()
    }
}

/// Whatever is called in whatever order, the store does what a list of lists would do.
pub async fn random_calls_do_what_the_model_does<S: EventStore>(open: impl AsyncFn() -> S) {
    let store = open().await;
    let mut model = Model::default();
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let streams = ["Order", "Order", "Parcel"].iter().enumerate();
        let streams: Vec<_> = streams.map(|(number, of)| StreamId::new(of, format!("{seed}-{number}"))).collect();
        let mut tried: Vec<Vec<NewEvent>> = vec![events(1)];
        for call in 0..CALLS {
            let stream = &streams[random.below(streams.len())];
            let place = format!("seed {seed}, call {call}, {stream}");
            match random.below(8) {
                0 => read_stream(&store, &model, stream, &mut random, &place).await,
                1 => read_feed(&store, &model, &mut random, &place).await,
                2 => fold(&store, &model, stream, &mut random, &place).await,
                _ => {
                    let batch = batch(&tried, &mut random);
                    let expected = expectation(model.version(stream), &mut random);
                    try_append(&store, &mut model, stream, (expected, &batch), &place).await;
                    tried.push(batch);
                }
            }
        }
    }
}

/// Mostly new events; now and then an earlier append again, whole, changed, or with new ones added.
fn batch(tried: &[Vec<NewEvent>], random: &mut Random) -> Vec<NewEvent> {
    let earlier = tried[random.below(tried.len())].clone();
    let types = ["Placed", "Shipped", "Cancelled"];
    let new = |count: usize, random: &mut Random| -> Vec<_> {
        (0..count).map(|number| an_event(types[random.below(3)], number.to_string())).collect()
    };
    let batch = match random.below(10) {
        0 => earlier,
        1 => earlier.into_iter().map(|event| NewEvent { payload: "other".into(), ..event }).collect(),
        2 => earlier.into_iter().chain(new(1, random)).collect(),
        3 => new(1, random).into_iter().chain(earlier).collect(),
        _ => {
            let count = 1 + random.below(3);
            new(count, random)
        }
    };
    // By their time, which is that of no other append, a store may tell which events were appended together.
    let origin = Arc::new(Origin::at(Timestamp::from_micros(tried.len().try_into().unwrap_or(i64::MAX))));
    batch.into_iter().map(|event| NewEvent { origin: Arc::clone(&origin), ..event }).collect()
}

fn expectation(version: u64, random: &mut Random) -> ExpectedVersion {
    match random.below(8) {
        0 => ExpectedVersion::NoStream,
        1 => ExpectedVersion::Exists,
        2 => ExpectedVersion::Exact(Version::new(version + 1)),
        3 => ExpectedVersion::Exact(Version::new(version.saturating_sub(1))),
        4 | 5 => ExpectedVersion::Exact(Version::new(version)),
        _ => ExpectedVersion::Any,
    }
}

/// Appends, or is refused, and looks where the feed ends then.
async fn try_append<S: EventStore>(
    store: &S,
    model: &mut Model,
    stream: &StreamId,
    (expected, batch): (ExpectedVersion, &[NewEvent]),
    place: &str,
) {
    let result = store.append(stream, expected, batch.to_vec()).await;
    let seen = model.append(stream, expected, batch);
    assert_eq!(Seen::of(&result), seen, "{place}, expected {expected}: {result:?}");
    if let Ok(appended) = result {
        assert_eq!(appended.events, batch.len() as u64, "{place}");
        if appended.repeated {
            let last = batch[batch.len() - 1].id;
            assert_eq!((appended.version, appended.position), model.place(last), "{place}: a repeated append");
        } else {
            model.note(stream, batch, appended);
        }
    }
    let head = store.head().await.expect("the head can be read");
    assert_eq!(head, model.head(), "{place}: the head after an append, {seen:?}");
}

async fn read_stream<S: EventStore>(store: &S, model: &Model, stream: &StreamId, random: &mut Random, place: &str) {
    let (after, limit) = (random.below(8), 1 + random.below(20));
    let page = store.read_stream(stream, Version::new(after as u64), limit).await.expect("a stream can be read");
    let page: Vec<_> = page.iter().map(|event| (event.id, (event.version, event.position))).collect();
    let expected = model.stream(stream, after, limit);
    // A page may be shorter than was asked for, but not empty if there is more.
    assert!(expected.starts_with(&page) && (page.is_empty() <= expected.is_empty()), "{place}: {page:?}");
}

async fn read_feed<S: EventStore>(store: &S, model: &Model, random: &mut Random, place: &str) {
    let types = [None, Some(&["Placed"][..]), Some(&["Shipped", "Cancelled"])][random.below(3)];
    let aggregates = [None, Some(&["Order"][..]), Some(&["Parcel", "Pallet"])][random.below(3)];
    let mut filter = Filter::all();
    if let Some(types) = types {
        filter = filter.event_types(types.iter().copied());
    }
    if let Some(aggregates) = aggregates {
        filter = filter.aggregate_types(aggregates.iter().copied());
    }
    let (limit, after) = (1 + random.below(40), random.below(model.feed.len() + 1));
    let after = model.feed.get(after).map_or(Position::START, |id| model.place(*id).1);
    let (fed, _) = feed_after(store, after, &filter, limit).await;
    let fed: Vec<_> = fed.iter().map(|event| (event.id, event.position)).collect();
    assert!(fed == model.shown(after, types, aggregates), "{place}: the feed after {after}, of {filter:?}");
}

/// Notes where the events are that it is shown, and stops after so many.
struct Places {
    enough: usize,
    shown: Vec<Place>,
}

impl Visitor for Places {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        self.shown.push((event.version, event.position));
        if self.shown.len() == self.enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Looks for no command, for one that is not stored, or for one of the last that are, in whichever stream.
async fn fold<S: EventStore>(store: &S, model: &Model, stream: &StreamId, random: &mut Random, place: &str) {
    let (after, enough) = (random.below(8), 1 + random.below(20));
    let recent = model.made.iter().rev().nth(random.below(10));
    let (first_event, earlier) = match (random.below(4), recent) {
        (0, _) => (Some(Uuid::now_v7()), None),
        (1 | 2, Some(made)) => (Some(made.first), (made.stream == *stream).then(|| made.appended.repeated())),
        _ => (None, None),
    };
    let fold = Fold { stream: stream.clone(), after: Version::new(after as u64), first_event };
    let folded = store.fold(fold, Places { enough, shown: Vec::new() }).await.expect("a stream can be folded");
    let limit = if earlier.is_some() { 0 } else { enough };
    let expected: Vec<_> = model.stream(stream, after, limit).into_iter().map(|(_, place)| place).collect();
    assert_eq!(folded.earlier, earlier, "{place}: the earlier append");
    assert_eq!(folded.visitor.shown, expected, "{place}: after {after}, at most {enough}");
    assert_eq!(folded.visited, expected.len() as u64, "{place}");
}
