//! A load with snapshots gives what a load of every event gives.

use std::collections::BTreeSet;
use std::ops::Range;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::{LastEvent, StoredSnapshot, WithSnapshots};
use eventsource_runtime::store::{PostgresOptions, PostgresStore, SqliteStore};
use eventsource_runtime::testing::run;
use eventsource_tests::dice::Dice;
use eventsource_tests::faulty_snapshots::{Fault, FaultySnapshots};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use uuid::Uuid;

use super::{Added, Named, Plain, Tally, reads, stream};

/// Where events and snapshots are kept, within reach of what befalls them.
trait Kept {
    type Store: EventStore + SnapshotStore;

    /// What a repository reads them from.
    fn store(&self) -> Self::Store;

    /// Changes the snapshot that is kept for a stream, if there is one.
    async fn tamper(&self, stream: &StreamId, change: impl FnOnce(&mut StoredSnapshot));

    /// Snapshots cannot be read for a while, or can again.
    fn fail(&self, fails: bool);
}

/// Events in one store, and snapshots in another.
struct Beside<S>(S, FaultySnapshots);

impl<S: EventStore> Kept for Beside<S> {
    type Store = WithSnapshots<S, FaultySnapshots>;

    fn store(&self) -> Self::Store {
        WithSnapshots::new(self.0.clone(), self.1.clone())
    }

    async fn tamper(&self, stream: &StreamId, change: impl FnOnce(&mut StoredSnapshot)) {
        self.1.tamper(stream, change);
    }

    fn fail(&self, fails: bool) {
        self.1.fail(if fails { Fault::Error } else { Fault::None });
    }
}

/// Both in one store, which reads them in one go.
struct Within<S>(S);

impl<S: EventStore + SnapshotStore> Kept for Within<S> {
    type Store = S;

    fn store(&self) -> S {
        self.0.clone()
    }

    async fn tamper(&self, stream: &StreamId, change: impl FnOnce(&mut StoredSnapshot)) {
        let Some(mut snapshot) = self.0.latest_snapshot(stream).await.unwrap() else { return };
        change(&mut snapshot);
        // Whatever it says of itself: it is read as that of the stream in whose place it is.
        snapshot.stream = stream.clone();
        self.0.save_snapshot(snapshot).await.unwrap();
    }

    fn fail(&self, _: bool) {}
}

/// Something that may befall a stream and its snapshot.
async fn befall<K: Kept>(dice: &mut Dice, tally: Uuid, kept: &K, other: &K) {
    let (ours, theirs) = (Repository::<Tally, _>::new(kept.store()), Repository::<Tally, _>::new(other.store()));
    let stream = stream(tally);
    let number = i64::try_from(dice.below(1000)).unwrap_or_default();
    let event = Added { number };
    match dice.below(13) {
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
            for _ in 0..=dice.below(12) {
                theirs.append(&tally, ExpectedVersion::Any, event.clone()).await.unwrap();
            }
            theirs.create_snapshot(&tally).await.unwrap();
            let foreign = other.store().latest_snapshot(&stream).await.unwrap().unwrap();
            kept.store().save_snapshot(foreign).await.unwrap();
        }
        7 => damage(dice, kept, &stream).await,
        8 => kept.tamper(&stream, |snapshot| snapshot.schema.hash ^= 1 << dice.below(64)).await,
        9 => kept.tamper(&stream, |snapshot| snapshot.schema.version += 1).await,
        10 => kept.tamper(&stream, |snapshot| snapshot.stream = StreamId::new("Account", tally)).await,
        11 => move_end(dice, kept, &stream).await,
        // The state of another stream, with all that is said of this one's.
        _ => {
            let another = Uuid::now_v7();
            ours.append(&another, ExpectedVersion::Any, event).await.unwrap();
            ours.create_snapshot(&another).await.unwrap();
            let snapshot = kept.store().latest_snapshot(&super::stream(another)).await.unwrap().unwrap();
            kept.tamper(&stream, |own| own.state = snapshot.state).await;
        }
    }
}

async fn damage(dice: &mut Dice, kept: &impl Kept, stream: &StreamId) {
    let change = |snapshot: &mut StoredSnapshot| {
        let mut state = snapshot.state.to_vec();
        let at = usize::try_from(dice.below(state.len().max(1) as u64)).unwrap_or_default();
        match (dice.below(4), state.get_mut(at)) {
            (1.., Some(byte)) => *byte ^= 1 << dice.below(8),
            _ => state.truncate(at),
        }
        snapshot.state = state.into();
    };
    kept.tamper(stream, change).await;
}

/// Has the snapshot end with another event of its stream, so that it is of its history, and the state is not.
async fn move_end(dice: &mut Dice, kept: &impl Kept, stream: &StreamId) {
    let events = kept.store().read_stream(stream, Version::START, 1000).await.unwrap();
    let at = usize::try_from(dice.below(events.len().max(1) as u64)).unwrap_or_default();
    let Some(event) = events.get(at) else { return };
    let last = LastEvent { version: event.version, position: event.position, id: event.id };
    kept.tamper(stream, |snapshot| snapshot.last = last).await;
}

/// Loads with snapshots at random points, damaged, foreign, from the future and out of order, and compares each with a
/// load of every event.
async fn loads_are_the_same<K: Kept>(open: impl AsyncFn() -> (K, K), seeds: Range<u64>) {
    for seed in seeds {
        let (kept, other) = open().await;
        let (mut dice, tally) = (Dice(seed), Uuid::now_v7());
        let plain = Repository::<Plain, _>::new(kept.store());
        for step in 0..24 {
            befall(&mut dice, tally, &kept, &other).await;
            kept.fail(dice.below(10) == 0);
            let with = Repository::<Tally, _>::new(kept.store()).load(&tally).await.unwrap();
            let without = plain.load(&tally).await.unwrap();
            kept.fail(false);
            assert_eq!(with.state, without.state.0, "seed {seed}, step {step}");
            assert_eq!((with.version, with.position), (without.version, without.position), "seed {seed}, step {step}");
        }
    }
}

/// Two histories, and one store of snapshots beside both.
fn beside<S: EventStore>(events: S, other: S) -> (Beside<S>, Beside<S>) {
    let snapshots = FaultySnapshots::default();
    (Beside(events, snapshots.clone()), Beside(other, snapshots))
}

async fn sqlite() -> SqliteStore {
    SqliteStore::open(":memory:").await.unwrap()
}

async fn postgres() -> PostgresStore {
    let options = PostgresOptions::default().schema(services::a_schema());
    PostgresStore::connect_with(&services::postgres(), options).await.unwrap()
}

/// Runs such loads in memory, where each result of reading a snapshot is met.
async fn results_are<K: Kept>(open: impl AsyncFn() -> (K, K), expected: &[&str]) {
    let (recorder, metrics) = Recorder::measured();
    recorder.run(Box::pin(loads_are_the_same(open, 0..300))).await;
    let results: BTreeSet<_> = reads(&recorder, &metrics).await.into_keys().collect();
    assert_eq!(results, expected.iter().map(|result| String::from(*result)).collect());
}

#[tokio::test]
async fn states_are_the_same_with_and_without_snapshots() {
    let all = ["decode_error", "hit", "missing", "schema_mismatch", "store_error"];
    results_are(async || beside(MemoryStore::new(), MemoryStore::new()), &all).await;
}

#[tokio::test]
async fn states_are_the_same_with_and_without_snapshots_on_sqlite() {
    loads_are_the_same(async || beside(sqlite().await, sqlite().await), 300..330).await;
}

#[test]
fn states_are_the_same_with_and_without_snapshots_on_postgres() {
    run(async {
        // Streams are new for each seed, and so the stores need not be.
        let (store, other) = (postgres().await, postgres().await);
        loads_are_the_same(async || beside(store.clone(), other.clone()), 330..360).await;
    });
}

#[tokio::test]
async fn states_are_the_same_where_memory_reads_both() {
    let all = ["decode_error", "hit", "missing", "schema_mismatch"];
    results_are(async || (Within(MemoryStore::new()), Within(MemoryStore::new())), &all).await;
}

#[tokio::test]
async fn states_are_the_same_where_sqlite_reads_both() {
    loads_are_the_same(async || (Within(sqlite().await), Within(sqlite().await)), 300..330).await;
}

#[test]
fn states_are_the_same_where_postgres_reads_both() {
    run(async {
        let (store, other) = (postgres().await, postgres().await);
        loads_are_the_same(async || (Within(store.clone()), Within(other.clone())), 330..360).await;
    });
}
