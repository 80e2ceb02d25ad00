//! Random sequential calls, on a store and on a model of it.

use std::collections::HashMap;

use super::{EventStore, ExpectedVersion, Filter, NewEvent, Position, StreamId, Uuid, Version, an_event, events};
use crate::testing::history::{Seen, append};

/// How many seeds are run; a failure names its own.
const SEEDS: u64 = 30;
const CALLS: usize = 40;

/// What the store should be: streams, and the order in which everything was appended.
#[derive(Default)]
struct Model {
    streams: HashMap<StreamId, Vec<Uuid>>,
    feed: Vec<(Uuid, &'static str, StreamId)>,
    /// The stream of the event with an id, and what it is.
    known: HashMap<Uuid, (StreamId, NewEvent)>,
}

impl Model {
    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, |ids| ids.len() as u64)
    }

    fn append(&mut self, stream: &StreamId, expected: ExpectedVersion, events: &[NewEvent]) -> Seen {
        let is_another = |event: &NewEvent| {
            let known = self.known.get(&event.id);
            known.is_some_and(|(of, known)| of != stream || known.payload != event.payload)
        };
        if events.iter().any(is_another) {
            return Seen::Mismatch;
        }
        let ids: Vec<_> = events.iter().map(|event| event.id).collect();
        let seen = append(self.streams.entry(stream.clone()).or_default(), expected, &ids);
        if let Seen::Made { .. } = seen {
            for event in events {
                self.feed.push((event.id, event.event_type, stream.clone()));
                self.known.insert(event.id, (stream.clone(), event.clone()));
            }
        }
        seen
    }

    fn shown(&self, event_type: Option<&str>) -> Vec<Uuid> {
        let shown = self.feed.iter().filter(|(_, of, _)| event_type.is_none_or(|listed| listed == *of));
        shown.map(|(id, ..)| *id).collect()
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
        let streams: Vec<_> = (0..3).map(|number| StreamId::new("Order", format!("{seed}-{number}"))).collect();
        let mut made: Vec<Vec<NewEvent>> = vec![events(1)];
        for call in 0..CALLS {
            let stream = &streams[random.below(streams.len())];
            let place = format!("seed {seed}, call {call}, {stream}");
            match random.below(6) {
                0 => read_stream(&store, &model, stream, &mut random, &place).await,
                1 => read_feed(&store, &model, &mut random, &place).await,
                _ => {
                    let batch = batch(&made, &mut random);
                    let expected = expectation(model.version(stream), &mut random);
                    let result = store.append(stream, expected, batch.clone()).await;
                    let seen = model.append(stream, expected, &batch);
                    assert_eq!(Seen::of(&result), seen, "{place}, expected {expected}: {result:?}");
                    if let Ok(appended) = result {
                        assert_eq!(appended.events, batch.len() as u64, "{place}");
                    }
                    made.push(batch);
                }
            }
        }
    }
}

/// Mostly new events; now and then an earlier append again, whole, in part, changed, or with new ones added.
fn batch(made: &[Vec<NewEvent>], random: &mut Random) -> Vec<NewEvent> {
    let earlier = made[random.below(made.len())].clone();
    let types = ["Placed", "Shipped", "Cancelled"];
    let new = |count: usize, random: &mut Random| -> Vec<_> {
        (0..count).map(|number| an_event(types[random.below(3)], number.to_string())).collect()
    };
    match random.below(10) {
        0 => earlier,
        1 => earlier.into_iter().map(|event| NewEvent { payload: "other".into(), ..event }).collect(),
        2 => earlier.into_iter().chain(new(1, random)).collect(),
        3 => new(1, random).into_iter().chain(earlier).collect(),
        _ => {
            let count = 1 + random.below(3);
            new(count, random)
        }
    }
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

async fn read_stream<S: EventStore>(store: &S, model: &Model, stream: &StreamId, random: &mut Random, place: &str) {
    let (after, limit) = (random.below(8), 1 + random.below(20));
    let page = store.read_stream(stream, Version::new(after as u64), limit).await.expect("a stream can be read");
    let ids: Vec<_> = page.iter().map(|event| event.id).collect();
    let expected = model.streams.get(stream).map_or(&[][..], |ids| ids.get(after..).unwrap_or_default());
    // A page may be shorter than was asked for, but not empty if there is more.
    assert!(expected.starts_with(&ids) && (ids.is_empty() <= expected.is_empty()), "{place}: {ids:?}");
    assert!(page.iter().zip(after as u64 + 1..).all(|(event, version)| event.version == version), "{place}");
}

async fn read_feed<S: EventStore>(store: &S, model: &Model, random: &mut Random, place: &str) {
    let event_type = [None, Some("Placed"), Some("Shipped")][random.below(3)];
    let filter = event_type.map_or_else(Filter::all, |event_type| Filter::all().event_types([event_type]));
    let (limit, mut after, mut ids) = (1 + random.below(40), Position::START, Vec::new());
    loop {
        let page = store.read_all(after, &filter, limit).await.expect("the feed can be read");
        ids.extend(page.events.iter().map(|event| event.id));
        if page.scanned == after {
            break;
        }
        after = page.scanned;
    }
    assert!(ids == model.shown(event_type), "{place}: the feed of {event_type:?}");
}
