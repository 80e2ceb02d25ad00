//! What a command that comes again is told.

use std::sync::{Arc, Mutex};

use eventsource_runtime::dispatch::caused_by;
use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, MemoryStore, NewEvent, PostgresOptions, PostgresStore, SqliteStore, StoreError,
    StreamId, Version,
};
use eventsource_runtime::testing::{recorded, run};
use eventsource_runtime::{StoredEvent, delegate};
use eventsource_tests::clocks::Moved;
use eventsource_tests::services;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Fill, Marked, Sheet, Tools, sheets};

/// A store whose pages hold one event.
#[derive(Clone, Debug)]
struct Leaves {
    memory: MemoryStore,
}

impl SnapshotStore for Leaves {}

impl EventStore for Leaves {
    delegate!(memory: info append fold read_all head changed);

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.memory.read_stream(stream, after, limit.min(1)).await
    }
}

/// The events of both commands of a handler have one cause and one time. The first one was told the version of the
/// second.
async fn it_ends_where_it_ended<S: EventStore + SnapshotStore>(store: S) {
    let tools = Tools { together: Barrier::new(1), store: MemoryStore::new() };
    let sheets = Repository::<Sheet, _>::new(store).with_services(tools).with_clock(Arc::new(Moved::default()));
    let bus = CommandBus::builder().aggregate(sheets).build();
    let (id, event) = (Uuid::now_v7(), recorded(StreamId::new("Other", 1), Marked { mark: Uuid::nil() }));
    let context = || Context { command_id: Some(event.event_id()), ..Context::default() };
    let first = || bus.dispatch_with(Fill { id, marks: 2 }, context());
    let made = caused_by(&event, first()).await.unwrap();
    caused_by(&event, bus.dispatch(Fill { id, marks: 3 })).await.unwrap();
    let again = caused_by(&event, first()).await.unwrap();
    assert!(again.repeated);
    assert_eq!((again.version, again.position, again.events), (made.version, made.position, 2));
}

#[test]
fn it_is_told_where_its_own_events_end_in_memory() {
    run(it_ends_where_it_ended(MemoryStore::new()));
    run(it_ends_where_it_ended(Leaves { memory: MemoryStore::new() }));
}

#[test]
fn it_is_told_where_its_own_events_end_on_sqlite() {
    run(async { it_ends_where_it_ended(SqliteStore::open(":memory:").await.unwrap()).await });
}

#[test]
fn it_is_told_where_its_own_events_end_on_postgres() {
    run(async {
        let options = PostgresOptions::default().schema(services::a_schema());
        it_ends_where_it_ended(PostgresStore::connect_with(&services::postgres(), options).await.unwrap()).await;
    });
}

/// A store in which another dispatch of a command is faster, once.
#[derive(Clone)]
struct Late {
    memory: MemoryStore,
    faster: Arc<Mutex<Option<(Fill, Context)>>>,
}

impl SnapshotStore for Late {}

impl EventStore for Late {
    delegate!(memory: info fold read_stream read_all head changed);

    async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let faster = self.faster.lock().unwrap().take();
        if let Some((command, context)) = faster {
            sheets(&self.memory, 0, 1).dispatch_with(command, context).await.unwrap();
        }
        self.memory.append(stream, expected, events).await
    }
}

/// Decided elsewhere, upon another state, it had led to more events; its own were taken for all of them.
#[tokio::test]
async fn it_is_told_of_all_that_another_dispatch_has_led_to() {
    let (id, memory) = (Uuid::now_v7(), MemoryStore::new());
    let context = Context { command_id: Some(Uuid::now_v7()), ..Context::default() };
    let faster = Arc::new(Mutex::new(Some((Fill { id, marks: 3 }, context.clone()))));
    let tools = Tools { together: Barrier::new(1), store: memory.clone() };
    let sheets = Repository::<Sheet, _>::new(Late { memory, faster }).with_services(tools);
    let bus = CommandBus::builder().aggregate(sheets).build();
    let told = bus.dispatch_with(Fill { id, marks: 1 }, context).await.unwrap();
    assert_eq!((told.version.get(), told.events, told.repeated), (3, 3, true));
}
