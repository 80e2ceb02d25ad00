//! What happens seldom: snapshots on another machine, more events than a span keeps, a process manager that needs a
//! second attempt, and one that cannot record what is due.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::{SnapshotStore, StoredSnapshot, WithSnapshots};
use eventsource_runtime::store::{Filter, NewEvent, Origin, SqliteStore, StoreInfo, StreamId, Traced};
use eventsource_tests::logged::Log;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::own_store::{self, Remote};
use eventsource_tests::placing::{bus, place};
use eventsource_tests::scratch::Scratch;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place for snapshots on another machine, played by a store in memory.
#[derive(Clone)]
pub(crate) struct Far(MemoryStore);

impl SnapshotStore for Far {
    fn snapshots(&self) -> Option<StoreInfo> {
        let mut info = StoreInfo::database("other_sql", "snapshots");
        info.server = Some((Arc::from("db.example.org"), 5432));
        info.namespace = Some(Arc::from("shop"));
        Some(info)
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        self.0.save_snapshot(snapshot).await
    }

    async fn latest_snapshot(&self, stream: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        self.0.latest_snapshot(stream).await
    }

    async fn delete_snapshot(&self, stream: &StreamId) -> Result<bool, StoreError> {
        self.0.delete_snapshot(stream).await
    }

    async fn delete_snapshots(&self, aggregate_type: &str) -> Result<u64, StoreError> {
        self.0.delete_snapshots(aggregate_type).await
    }
}

/// A database on another machine, for events and snapshots.
pub(crate) fn remote() -> Traced<WithSnapshots<Remote, Far>> {
    let quiet = MemoryStore::new().enable_tracing(false).enable_metrics(false);
    Traced::over(WithSnapshots::new(own_store::remote().inner().clone(), Far(quiet)))
}

/// The feed of a database on another machine.
pub(crate) async fn read_from_afar() {
    let store = own_store::remote();
    commands(&store).dispatch(Flood { id: Uuid::now_v7() }).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    assert_eq!(page.events.len(), 10);
}

/// A database that somebody else has spoilt.
pub(crate) async fn spoilt() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let (orders, order) = (Repository::<Order, _>::new(store.clone()), Uuid::now_v7());
    let cancelled = || OrderCancelled { reason: "too slow".into() };
    orders.append(&order, ExpectedVersion::NoStream, cancelled()).await.unwrap();
    orders.create_snapshot(&order).await.unwrap();
    let stream = StreamId::new("Order", order);
    let snapshot = store.latest_snapshot(&stream).await.unwrap().unwrap();
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.execute_batch("DROP TABLE events; DROP TABLE snapshots").unwrap();
    store.read_all(Position::START, &Filter::all(), 10).await.unwrap_err();
    store.read_stream(&stream, Version::START, 10).await.unwrap_err();
    orders.append(&order, ExpectedVersion::Any, cancelled()).await.unwrap_err();
    let named = Context { command_id: Some(Uuid::now_v7()), ..Context::default() };
    bus(&store).dispatch_with(place(order), named).await.unwrap_err();
    store.save_snapshot(snapshot).await.unwrap_err();
    store.latest_snapshot(&stream).await.unwrap_err();
    store.snapshot_exists(&stream).await.unwrap_err();
    store.delete_snapshot(&stream).await.unwrap_err();
    store.close().await;
}

#[derive(Event, Serialize, Deserialize)]
struct Dropped {
    #[event(attribute)]
    drops: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Dropped))]
struct Bucket;

impl Apply<Dropped> for Bucket {
    fn apply(&mut self, _: Dropped) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Bucket)]
struct Flood {
    #[command(id)]
    id: Uuid,
}

#[command_handler]
impl Bucket {
    /// One more than a span keeps.
    fn flood(&self, _: Flood) -> Result<Vec<Dropped>, Infallible> {
        Ok((0..129).map(|_| Dropped { drops: 3 }).collect())
    }
}

/// Events with an attribute that users named.
pub(crate) async fn flood() {
    commands(&MemoryStore::new()).dispatch(Flood { id: Uuid::now_v7() }).await.unwrap();
}

/// An event of a type that is gone keeps commands from what they need.
pub(crate) async fn unreadable() {
    let (store, id) = (MemoryStore::new(), Uuid::now_v7());
    let origin = Arc::new(Origin::at(Timestamp::from_micros(0)));
    let gone = NewEvent { id: Uuid::now_v7(), event_type: "Gone", schema_version: 1, payload: "{}".into(), origin };
    store.append(&StreamId::new("Bucket", id), ExpectedVersion::NoStream, vec![gone]).await.unwrap();
    commands(&store).dispatch(Flood { id }).await.unwrap_err();
}

fn commands<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Bucket, _>::new(store.clone())).build()
}

#[derive(Event, Serialize, Deserialize)]
struct Called {}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Called))]
struct Plumber;

impl Apply<Called> for Plumber {
    fn apply(&mut self, _: Called) {}
}

/// Whether anybody has rung before.
static RUNG: AtomicBool = AtomicBool::new(false);

#[process_manager]
impl Plumber {
    fn dropped(&self, _: &Recorded<Dropped>) -> Result<Reaction<Self>, ProjectionError> {
        let is_heard = RUNG.swap(true, Ordering::SeqCst);
        if is_heard { Ok(Reaction::new().record(Called {})) } else { Err(ProjectionError::new("nobody heard it")) }
    }
}

/// The first reaction takes two attempts.
pub(crate) async fn second_attempt() {
    let store = MemoryStore::new();
    let commands = commands(&store);
    let managers = ProcessManagerRunner::new(store, commands.clone()).process_manager::<Plumber>().spawn();
    let committed = commands.dispatch(Flood { id: Uuid::now_v7() }).await.unwrap();
    managers.wait_for(committed.position).await.unwrap();
    managers.shutdown().await.unwrap();
}

/// What is due is of a type that is gone.
pub(crate) async fn left_timeout(log: &Log) {
    let store = MemoryStore::new();
    let scheduled = NewEvent {
        id: Uuid::now_v7(),
        event_type: "process_manager.scheduled",
        schema_version: 1,
        payload: r#"{"due": 0, "event_type": "Gone", "schema_version": 1, "payload": {}}"#.into(),
        origin: Arc::new(Origin::at(Timestamp::from_micros(0))),
    };
    let plumber = StreamId::new("Plumber", Uuid::now_v7());
    store.append(&plumber, ExpectedVersion::NoStream, vec![scheduled]).await.unwrap();
    let managers = ProcessManagerRunner::new(store.clone(), commands(&store)).process_manager::<Plumber>().spawn();
    log.hears("eventsource.process_manager.timeout_left").await;
    managers.shutdown().await.unwrap();
}
