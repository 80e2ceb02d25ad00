//! Snapshots: the same state with and without, whatever becomes of them, and no harm to any command.

mod behind;
mod differential;
mod lost;
mod releases;
mod sampled;
mod unreadable;

use std::collections::BTreeMap;
use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::{SnapshotError, WithSnapshots};
use eventsource_runtime::store::SqliteStore;
use eventsource_runtime::telemetry::names;
use eventsource_tests::faulty_snapshots::{Fault, FaultySnapshots};
use eventsource_tests::logged::Log;
use eventsource_tests::own_store::remote;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Added {
    number: i64,
}

#[derive(Event, Clone, Serialize, Deserialize)]
struct Named {
    name: String,
}

/// Its state depends on every event and on their order.
#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(id = Uuid, events(Added, Named), snapshot(every = 5))]
struct Tally {
    sum: i64,
    names: BTreeMap<String, usize>,
    history: Vec<i64>,
}

impl Apply<Added> for Tally {
    fn apply(&mut self, event: Added) {
        self.sum = self.sum.wrapping_mul(31).wrapping_add(event.number);
        self.history.push(self.sum);
    }
}

impl Apply<Named> for Tally {
    fn apply(&mut self, event: Named) {
        *self.names.entry(event.name).or_default() += self.history.len();
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Tally)]
struct Add {
    #[command(id)]
    tally: Uuid,
    count: usize,
}

#[command_handler]
impl Tally {
    fn add(&self, command: Add) -> Result<Vec<Added>, Infallible> {
        Ok((0..command.count).map(|number| Added { number: i64::try_from(number).unwrap_or_default() }).collect())
    }
}

/// The same stored name and events, and no snapshots.
#[derive(Aggregate, Debug, Default, PartialEq)]
#[aggregate(id = Uuid, name = "Tally", events(Added, Named), event = PlainEvent)]
struct Plain(Tally);

impl Apply<Added> for Plain {
    fn apply(&mut self, event: Added) {
        self.0.apply(event);
    }
}

impl Apply<Named> for Plain {
    fn apply(&mut self, event: Named) {
        self.0.apply(event);
    }
}

type Tallies<S> = Repository<Tally, WithSnapshots<S, FaultySnapshots>>;

fn tallies<S: EventStore + SnapshotStore>(events: &S, snapshots: &FaultySnapshots) -> Tallies<S> {
    Repository::new(events.clone()).with_snapshots(snapshots.clone())
}

fn stream(tally: Uuid) -> StreamId {
    StreamId::new("Tally", tally)
}

/// The results of `eventsource.snapshot.reads`, each with its count.
async fn reads(recorder: &Recorder, metrics: &InMemoryMetricExporter) -> BTreeMap<String, u64> {
    recorder.flush().await;
    let mut found = BTreeMap::new();
    for point in Measured::last(metrics).iter().filter(|point| point.name == names::EVENTSOURCE_SNAPSHOT_READS) {
        *found.entry(point.said(names::RESULT)).or_default() += point.count;
    }
    found
}

/// What befalls a snapshot.
type Trouble = fn(&FaultySnapshots, &StreamId);

/// What is wrong with a snapshot, and how a load that meets it is counted.
#[tokio::test]
async fn every_trouble_is_counted_by_its_reason() {
    let troubles: [(&str, Trouble); 7] = [
        ("hit", |_, _| ()),
        ("schema_mismatch", |it, stream| it.tamper(stream, |snapshot| snapshot.schema.hash += 1)),
        ("schema_mismatch", |it, stream| it.tamper(stream, |snapshot| snapshot.schema.version += 1)),
        ("schema_mismatch", |it, stream| it.tamper(stream, |snapshot| snapshot.stream = StreamId::new("Other", 1))),
        ("decode_error", |it, stream| it.tamper(stream, |snapshot| snapshot.state = snapshot.state.slice(1..))),
        ("store_error", |it, _| it.fail(Fault::Error)),
        ("store_error", |it, _| it.fail(Fault::Panic)),
    ];
    for (result, cause) in troubles {
        let ((recorder, metrics), tally) = (Recorder::measured(), Uuid::now_v7());
        let snapshots = FaultySnapshots::default();
        let tallies = tallies(&MemoryStore::new(), &snapshots);
        tallies.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 1 }; 7]).await.unwrap();
        tallies.create_snapshot(&tally).await.unwrap();
        cause(&snapshots, &stream(tally));
        let loaded = recorder.run(tallies.load(&tally)).await.unwrap();
        assert_eq!((loaded.version.get(), loaded.state.history.len()), (7, 7));
        assert_eq!(reads(&recorder, &metrics).await, BTreeMap::from([(result.to_owned(), 1)]));
    }
}

/// The snapshot's version after each of some commands.
async fn versions_after(counts: &[usize]) -> Vec<Option<u64>> {
    let (store, tally) = (MemoryStore::new(), Uuid::now_v7());
    let tallies = Repository::<Tally, _>::new(store.clone());
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    let mut versions = Vec::new();
    for count in counts {
        bus.dispatch(Add { tally, count: *count }).await.unwrap();
        tallies.snapshots_written().await;
        let latest = store.latest_snapshot(&stream(tally)).await.unwrap();
        versions.push(latest.map(|snapshot| snapshot.last.version.get()));
    }
    versions
}

#[tokio::test]
async fn one_is_due_when_so_many_events_have_come_since_the_last() {
    let (none, at) = (None, Some);
    assert_eq!(
        versions_after(&[1; 11]).await,
        [none, none, none, none, at(5), at(5), at(5), at(5), at(5), at(10), at(10)]
    );
    assert_eq!(versions_after(&[3, 3, 3, 3, 0]).await, [none, at(6), at(6), at(12), at(12)]);
    assert_eq!(versions_after(&[17, 4, 1]).await, [at(17), at(17), at(22)]);
}

/// Events that were restored from a copy, with a snapshot that is ahead of them, or as far as they are but at another
/// place of the feed; in one store, which reads both in one go.
async fn only_a_snapshot_of_its_history_is_used<S: EventStore + SnapshotStore>(open: impl AsyncFn() -> S) {
    for (theirs, before) in [(9, 0), (7, 1), (7, 0)] {
        let (store, other, tally) = (open().await, open().await, Uuid::now_v7());
        let (tallies, longer) =
            (Repository::<Tally, _>::new(store.clone()), Repository::<Tally, _>::new(other.clone()));
        tallies.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 1 }; 7]).await.unwrap();
        longer.append(&Uuid::now_v7(), ExpectedVersion::Any, vec![Added { number: 3 }; before]).await.unwrap();
        longer.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 2 }; theirs]).await.unwrap();
        longer.create_snapshot(&tally).await.unwrap();
        let foreign = other.latest_snapshot(&stream(tally)).await.unwrap().unwrap();
        store.save_snapshot(foreign).await.unwrap();
        let (recorder, metrics) = Recorder::measured();
        let loaded = recorder.run(tallies.load(&tally)).await.unwrap();
        let plain = Repository::<Plain, _>::new(store).load(&tally).await.unwrap();
        assert_eq!((loaded.version, loaded.state), (plain.version, plain.state.0));
        assert_eq!(reads(&recorder, &metrics).await, BTreeMap::from([("missing".to_owned(), 1)]));
    }
}

#[tokio::test]
async fn only_a_snapshot_of_its_history_is_used_in_memory() {
    only_a_snapshot_of_its_history_is_used(|| async { MemoryStore::new() }).await;
}

#[tokio::test]
async fn only_a_snapshot_of_its_history_is_used_on_sqlite() {
    only_a_snapshot_of_its_history_is_used(|| async { SqliteStore::open(":memory:").await.unwrap() }).await;
}

/// After a release that changed the state's shape: one replay, and the next command's snapshot is of the new shape.
#[tokio::test]
async fn a_snapshot_of_another_schema_is_replaced_after_the_next_command() {
    // One of a newer release is kept.
    let others: [Trouble; 2] = [
        |it, stream| it.tamper(stream, |snapshot| snapshot.schema.version -= 1),
        |it, stream| it.tamper(stream, |snapshot| snapshot.schema.hash = !snapshot.schema.hash),
    ];
    for other in others {
        let (snapshots, tally) = (FaultySnapshots::default(), Uuid::now_v7());
        let tallies = tallies(&MemoryStore::new(), &snapshots);
        let bus = CommandBus::builder().aggregate(tallies.clone()).build();
        bus.dispatch(Add { tally, count: 7 }).await.unwrap();
        tallies.snapshots_written().await;
        other(&snapshots, &stream(tally));
        bus.dispatch(Add { tally, count: 1 }).await.unwrap();
        tallies.snapshots_written().await;
        let latest = snapshots.latest_snapshot(&stream(tally)).await.unwrap().unwrap();
        assert_eq!((latest.last.version.get(), latest.schema.version), (8, 1));
    }
}

/// No command fails, or waits but for the first that meets a store which does not answer.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_hangs_or_panics_harms_no_command() {
    for (fault, patience) in [(Fault::Error, 0), (Fault::Panic, 0), (Fault::Hang, 1)] {
        let (snapshots, tally, begun) = (FaultySnapshots::default(), Uuid::now_v7(), Instant::now());
        snapshots.fail(fault);
        let tallies = tallies(&MemoryStore::new(), &snapshots);
        let bus = CommandBus::builder().aggregate(tallies.clone()).build();
        for version in 1..=40 {
            assert_eq!(bus.dispatch(Add { tally, count: 1 }).await.unwrap().version, version, "{fault:?}");
        }
        assert_eq!(begun.elapsed().as_secs(), patience, "{fault:?}");
        assert!(snapshots.calls() > 0);
        tallies.snapshots_written().await;
        assert_eq!(tallies.load(&tally).await.unwrap().version, 40);
    }
}

/// The same where reading works and only writing does not.
#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_never_written_is_given_up() {
    let (log, _guard) = Log::of_thread();
    let (snapshots, tally, begun) = (FaultySnapshots::default(), Uuid::now_v7(), Instant::now());
    snapshots.hold();
    let tallies = tallies(&MemoryStore::new(), &snapshots);
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    for _ in 0..40 {
        bus.dispatch(Add { tally, count: 1 }).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::from_millis(10), "one of them waited for it, and not for long");
    let given_up = tokio::time::timeout(Duration::from_mins(1), tallies.snapshots_written()).await;
    given_up.expect("it is given up");
    assert_eq!(begun.elapsed().as_secs(), 30);
    assert_eq!(snapshots.saving(), (0, 1), "one at a time for a stream");
    log.hears("eventsource.snapshot.lost").await;
}

#[tokio::test]
async fn a_bounded_number_is_written_at_a_time() {
    let snapshots = FaultySnapshots::default();
    snapshots.hold();
    let tallies = tallies(&MemoryStore::new(), &snapshots);
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    for _ in 0..100 {
        bus.dispatch(Add { tally: Uuid::now_v7(), count: 5 }).await.unwrap();
    }
    while snapshots.saving().0 < 64 {
        tokio::task::yield_now().await;
    }
    snapshots.let_through(1000);
    tallies.snapshots_written().await;
    assert_eq!(snapshots.saving(), (0, 64));
    assert_eq!(tallies.delete_snapshots().await.unwrap(), 64);
}

/// A load right after the command replayed everything.
#[tokio::test(start_paused = true)]
async fn a_command_waits_a_moment_for_its_snapshot() {
    let (snapshots, tally) = (FaultySnapshots::default(), Uuid::now_v7());
    let tallies = tallies(&MemoryStore::new(), &snapshots);
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    bus.dispatch(Add { tally, count: 5 }).await.unwrap();
    assert!(tallies.snapshot_exists(&tally).await.unwrap());
}

#[tokio::test]
async fn a_load_begins_with_the_snapshot_and_says_so() {
    let (recorder, tally, store) = (Recorder::new(), Uuid::now_v7(), SqliteStore::open(":memory:").await.unwrap());
    let tallies = Repository::<Tally, _>::new(store);
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    bus.dispatch(Add { tally, count: 6 }).await.unwrap();
    tallies.snapshots_written().await;
    tallies.append(&tally, ExpectedVersion::Exists, vec![Added { number: 1 }; 3]).await.unwrap();
    recorder
        .run(async {
            tallies.load(&tally).await.unwrap();
            bus.dispatch(Add { tally, count: 2 }).await.unwrap();
            tallies.snapshots_written().await;
        })
        .await;
    let trees = recorder.trees().replace(tally, "{tally}");
    let load = "load_aggregate(snapshot_store.get event_store.load)";
    let command = format!("command.Add({load} handle_command persist_events(event_store.append) snapshot_store.save)");
    assert_eq!(trees.names(), format!("{load} {command}"));
    let rendered = trees.render();
    let expected = "\
load_aggregate
  . cqrs.side=write
  . eventsource.aggregate.id={tally}
  . eventsource.aggregate.type=Tally
  . eventsource.events.loaded=3
  . eventsource.snapshot.used=true
  . eventsource.snapshot.version=6
  . eventsource.version=9
  snapshot_store.get CLIENT
    . db.collection.name=snapshots
    . db.operation.name=SELECT
    . db.system.name=sqlite
    . eventsource.aggregate.id={tally}
    . eventsource.aggregate.type=Tally
    . eventsource.snapshot.version=6
  event_store.load CLIENT
    . db.collection.name=events
    . db.operation.name=SELECT
    . db.system.name=sqlite
    . eventsource.events.loaded=3
    . eventsource.from_version=7
    . eventsource.stream.id=Tally-{tally}
";
    assert!(rendered.starts_with(expected), "{rendered}");
    let saved = "  snapshot_store.save CLIENT
    . db.collection.name=snapshots
    . db.operation.name=INSERT
    . db.system.name=sqlite
    . eventsource.aggregate.id={tally}
    . eventsource.aggregate.type=Tally
    . eventsource.snapshot.version=11
";
    assert!(rendered.ends_with(saved), "{rendered}");
}

#[tokio::test]
async fn a_repository_without_tracing_makes_no_spans_of_snapshots() {
    let (recorder, tally) = (Recorder::new(), Uuid::now_v7());
    let tallies = Repository::<Tally, _>::new(MemoryStore::new()).enable_tracing(false);
    let bus = CommandBus::builder().enable_tracing(false).aggregate(tallies.clone()).build();
    let quiet = async {
        bus.dispatch(Add { tally, count: 6 }).await.unwrap();
        tallies.snapshots_written().await;
        tallies.create_snapshot(&tally).await.unwrap();
        assert!(tallies.snapshot_exists(&tally).await.unwrap());
        assert!(tallies.delete_snapshot(&tally).await.unwrap());
        tallies.delete_snapshots().await.unwrap();
    };
    recorder.run(quiet).await;
    assert_eq!(recorder.started_spans(), 0, "{}", recorder.trees().names());
}

#[tokio::test]
async fn an_aggregate_without_snapshots_asks_for_none() {
    let (snapshots, tally) = (FaultySnapshots::default(), Uuid::now_v7());
    let plain = Repository::<Plain, _>::new(MemoryStore::new()).with_snapshots(snapshots.clone());
    plain.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 1 }; 100]).await.unwrap();
    plain.load(&tally).await.unwrap();
    assert_eq!(plain.store().event_store().head().await.unwrap(), 100);
    assert_eq!((snapshots.calls(), plain.store().snapshot_store().calls()), (0, 0));
    let refused = plain.create_snapshot(&tally).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::NotAsked { aggregate: "Tally", .. }), "{refused}");
}

#[tokio::test]
async fn a_store_that_keeps_none_says_so_where_it_matters() {
    let tally = Uuid::now_v7();
    let tallies = Repository::<Tally, _>::new(remote());
    tallies.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 1 }; 100]).await.unwrap();
    assert_eq!(tallies.load(&tally).await.unwrap().version, 100);
    let refused = tallies.create_snapshot(&tally).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::NotKept { aggregate: "Tally", .. }), "{refused}");
    assert!(!tallies.snapshot_exists(&tally).await.unwrap());
    assert_eq!(tallies.delete_snapshots().await.unwrap(), 0);
}

#[tokio::test]
async fn a_snapshot_is_created_by_hand() {
    let (store, tally) = (MemoryStore::new(), Uuid::now_v7());
    let tallies = Repository::<Tally, _>::new(store.clone());
    assert_eq!(tallies.create_snapshot(&tally).await.unwrap(), None, "there is nothing to keep");
    tallies.append(&tally, ExpectedVersion::NoStream, Added { number: 7 }).await.unwrap();
    assert_eq!(tallies.create_snapshot(&tally).await.unwrap(), Some(Version::new(1)));
    let failing = tallies.clone().with_snapshots({
        let snapshots = FaultySnapshots::default();
        snapshots.fail(Fault::Error);
        snapshots
    });
    let refused = failing.create_snapshot(&tally).await.unwrap_err();
    assert!(matches!(refused, SnapshotError::Store(_)), "{refused}");
}
