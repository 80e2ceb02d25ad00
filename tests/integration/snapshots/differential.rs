//! A load with snapshots gives what a load of every event gives.

use std::collections::BTreeSet;
use std::ops::Range;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::StoredSnapshot;
use eventsource_runtime::store::SqliteStore;
use eventsource_tests::faulty_snapshots::{Fault, FaultySnapshots};
use uuid::Uuid;

use super::{Added, Named, Plain, measured, reads, stream, tallies};

/// Xorshift: small, and the same again for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Something that may befall a stream and its snapshot.
async fn befall<S: EventStore + SnapshotStore>(
    random: &mut Random,
    tally: Uuid,
    (store, other): (&S, &S),
    snapshots: &FaultySnapshots,
) {
    let (ours, theirs, stream) = (tallies(store, snapshots), tallies(other, snapshots), stream(tally));
    let number = i64::try_from(random.below(1000)).unwrap_or_default();
    let event = Added { number };
    match random.below(11) {
        0..3 => {
            ours.append(&tally, ExpectedVersion::Any, event).await.unwrap();
        }
        3 => {
            ours.append(&tally, ExpectedVersion::Any, Named { name: number.to_string() }).await.unwrap();
        }
        4..6 => {
            ours.create_snapshot(&tally).await.unwrap();
        }
        // Another history under the same name, a tenant's or that of a copy: mostly longer.
        6 => {
            for _ in 0..=random.below(12) {
                theirs.append(&tally, ExpectedVersion::Any, event.clone()).await.unwrap();
            }
            theirs.create_snapshot(&tally).await.unwrap();
        }
        7 => damage(random, snapshots, &stream),
        8 => snapshots.tamper(&stream, |snapshot| snapshot.schema.hash ^= 1 << random.below(64)),
        9 => snapshots.tamper(&stream, |snapshot| snapshot.schema.version += 1),
        _ => snapshots.tamper(&stream, |snapshot| snapshot.stream = StreamId::new("Account", tally)),
    }
}

fn damage(random: &mut Random, snapshots: &FaultySnapshots, stream: &StreamId) {
    snapshots.tamper(stream, |snapshot: &mut StoredSnapshot| {
        let mut state = snapshot.state.to_vec();
        let at = usize::try_from(random.below(state.len() as u64)).unwrap_or_default();
        if random.below(4) == 0 {
            state.truncate(at);
        } else {
            state[at] ^= 1 << random.below(8);
        }
        snapshot.state = state.into();
    });
}

/// Loads with snapshots at random points, damaged, foreign, from the future and out of order, and compares each with a
/// load of every event.
async fn loads_are_the_same<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S, seeds: Range<u64>) {
    for seed in seeds {
        let (store, other, snapshots) = (open().await, open().await, FaultySnapshots::default());
        let (mut random, tally) = (Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1), Uuid::now_v7());
        let plain = Repository::<Plain, _>::new(store.clone());
        for step in 0..24 {
            befall(&mut random, tally, (&store, &other), &snapshots).await;
            if random.below(10) == 0 {
                snapshots.fail(Fault::Error);
            }
            let with = tallies(&store, &snapshots).load(&tally).await.unwrap();
            let without = plain.load(&tally).await.unwrap();
            snapshots.fail(Fault::None);
            assert_eq!(with.state, without.state.0, "seed {seed}, step {step}");
            assert_eq!((with.version, with.position), (without.version, without.position), "seed {seed}, step {step}");
        }
    }
}

#[tokio::test]
async fn states_are_the_same_with_and_without_snapshots() {
    let (recorder, metrics) = measured();
    recorder.run(loads_are_the_same(|| async { MemoryStore::new() }, 0..300)).await;
    let results: BTreeSet<_> = reads(&recorder, &metrics).await.into_keys().collect();
    let all = ["decode_error", "hit", "missing", "schema_mismatch", "store_error"];
    assert_eq!(results, all.map(String::from).into());
}

#[tokio::test]
async fn states_are_the_same_with_and_without_snapshots_on_sqlite() {
    loads_are_the_same(|| async { SqliteStore::open(":memory:").await.unwrap() }, 300..330).await;
}
