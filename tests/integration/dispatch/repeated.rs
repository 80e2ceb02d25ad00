//! What a command that comes again is told.

use std::sync::Arc;

use eventsource_runtime::dispatch::caused_by;
use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{
    EventStore, MemoryStore, PostgresOptions, PostgresStore, SqliteStore, StoreError, StreamId, Version,
};
use eventsource_runtime::testing::{recorded, run};
use eventsource_runtime::{StoredEvent, delegate};
use eventsource_tests::clocks::Moved;
use eventsource_tests::services;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::{Fill, Marked, Sheet, Tools};

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
