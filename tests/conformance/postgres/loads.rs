//! What a load asks of the server.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use eventsource_runtime::EventRef;
use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::{Fold, NewEvent, PostgresOptions, PostgresStore, Visitor};
use eventsource_runtime::testing::run;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use tokio::sync::oneshot;

use super::locked::{Count, Counter};
use super::lost::behind_a_proxy;
use super::{a_stream, events, open_in, options};
use crate::messages::until;

/// The events that came with the snapshot began behind the one that proves it, and were all read again.
#[test]
fn a_load_that_begins_with_a_snapshot_asks_once() {
    run(async {
        let (proxy, store) = behind_a_proxy(&services::a_schema()).await;
        let repository = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(repository.clone()).build();
        let counted = bus.dispatch(Count { counter: 1 }).await.unwrap();
        // Then its connection is back, and all that follows has the same one.
        repository.snapshots_written().await;
        // The first one has its statement prepared.
        repository.load(&1).await.unwrap();
        let before = proxy.asked();
        let loaded = repository.load(&1).await.unwrap();
        assert_eq!((loaded.version, proxy.asked() - before), (counted.version, 1));
    });
}

/// The events that came with the snapshot were shown as if they were all that there are.
#[test]
fn a_snapshot_whose_row_cannot_be_read_is_none() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let counters = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(counters.clone()).build();
        for _ in 0..3 {
            bus.dispatch(Count { counter: 1 }).await.unwrap();
        }
        // Those that are made behind the commands' backs may be older.
        counters.snapshots_written().await;
        counters.create_snapshot(&1).await.unwrap();
        let raw = services::raw(&services::postgres()).await;
        let damage = format!("UPDATE {schema}.snapshots SET position = -1");
        assert_eq!(raw.execute(&damage, &[]).await.unwrap(), 1);
        store.inner().latest_snapshot(&StreamId::new("Counter", 1)).await.unwrap_err();
        let loaded = counters.load(&1).await.unwrap();
        assert_eq!((loaded.version, loaded.state.count), (Version::new(3), 3));
    });
}

/// Stands still at the first event, with the connection on which it came.
struct Holding {
    begun: Option<oneshot::Sender<()>>,
    goes_on: mpsc::Receiver<()>,
}

impl Visitor for Holding {
    fn visit(&mut self, _: EventRef<'_>) -> ControlFlow<()> {
        if let Some(begun) = self.begun.take() {
            begun.send(()).unwrap();
        }
        // Elsewhere others go on: this thread may be the one that tells the time.
        let _ = tokio::task::block_in_place(|| self.goes_on.recv());
        ControlFlow::Break(())
    }
}

/// Has enough after so many events.
struct Enough(u64);

impl Visitor for Enough {
    fn visit(&mut self, _: EventRef<'_>) -> ControlFlow<()> {
        self.0 -= 1;
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Whoever was lent it next waited for all that an unreadable event had left on it.
#[test]
fn a_connection_on_which_much_is_left_is_lent_to_nobody() {
    const EVENTS: u64 = 5000;
    run(async {
        let name = services::a_schema();
        let address = format!("{}?application_name={name}", services::postgres());
        let options = options(&name).connections(1);
        let store = PostgresStore::connect_with(&address, options).await.unwrap();
        let stream = a_stream();
        store.append(&stream, ExpectedVersion::NoStream, events(5000)).await.unwrap();
        let fold = Fold { stream, after: Version::START, first_event: None };
        let raw = services::raw(&services::postgres()).await;
        let reading =
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%ORDER BY version LIMIT%'";
        let readers = async || {
            let rows = raw.query(reading, &[&name]).await.unwrap();
            rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>()
        };
        store.fold(fold.clone(), Enough(EVENTS + 1)).await.unwrap();
        let first = readers().await;
        store.fold(fold.clone(), Enough(EVENTS + 1)).await.unwrap();
        assert_eq!((first.len(), readers().await), (1, first.clone()), "one that was read to the end is lent again");
        assert_eq!(store.fold(fold.clone(), Enough(1)).await.unwrap().visited, 1);
        // It is given up.
        until(async || readers().await != first).await;
        assert_eq!(store.fold(fold, Enough(EVENTS + 1)).await.unwrap().visited, EVENTS);
    });
}

/// It was taken for a fault of the snapshot, without which the load waited for a connection once more.
#[test]
fn a_load_that_gets_no_connection_waits_for_it_once_and_does_not_blame_the_snapshot() {
    const PATIENCE: Duration = Duration::from_secs(10);
    run(async {
        let schema = services::a_schema();
        let options = PostgresOptions::default().schema(schema).connections(1).connect_timeout(PATIENCE);
        let store = PostgresStore::connect_with(&services::postgres(), options).await.unwrap();
        let counters = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(counters.clone()).build();
        bus.dispatch(Count { counter: 1 }).await.unwrap();
        counters.snapshots_written().await;
        let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), mpsc::channel());
        let fold = Fold { stream: StreamId::new("Counter", 1), after: Version::START, first_event: None };
        let holding = Holding { begun: Some(begun), goes_on };
        let held = tokio::spawn(async move { store.fold(fold, holding).await.map(drop) });
        has_begun.await.unwrap();
        let asked = Instant::now();
        assert!(counters.load(&1).await.is_err());
        assert!(asked.elapsed() < PATIENCE * 2, "{:?}", asked.elapsed());
        go_on.send(()).unwrap();
        held.await.unwrap().unwrap();
        let recorder = Recorder::new();
        recorder.run(counters.load(&1)).await.unwrap();
        let rendered = recorder.trees().render();
        assert!(rendered.contains("eventsource.snapshot.used=true"), "{rendered}");
    });
}

/// It was waited for all events behind the snapshot as long as for the snapshot; then those before it were read as well.
#[test]
fn a_snapshot_with_events_that_are_slow_to_read_is_used() {
    run(async {
        let schema = services::a_schema();
        let store = open_in(&schema).await;
        let counters = Repository::<Counter, _>::new(store.clone());
        let bus = CommandBus::builder().aggregate(counters.clone()).build();
        bus.dispatch(Count { counter: 1 }).await.unwrap();
        counters.snapshots_written().await;
        let stream = StreamId::new("Counter", 1);
        // The server sends 8 kB at a time: the first events come soon, however slow the machine is.
        let large = format!("{{\"note\":\"{}\"}}", "x".repeat(4000));
        let many = events(200).into_iter();
        let many = many.map(|event| NewEvent { event_type: "Counted", payload: large.clone().into(), ..event });
        store.append(&stream, ExpectedVersion::Exists, many.collect()).await.unwrap();
        // Two seconds for all of them.
        let raw = services::raw(&services::postgres()).await;
        let slow = "CREATE FUNCTION {schema}.slowly(bytea) RETURNS bytea STABLE LANGUAGE plpgsql
                AS 'BEGIN PERFORM pg_sleep(0.01); RETURN $1; END';
            ALTER TABLE {schema}.events RENAME TO all_events;
            CREATE VIEW {schema}.events AS SELECT position, stream_id, version, event_id, event_type, schema_version,
                recorded_at, correlation_id, causation_id, metadata, traceparent, tracestate,
                {schema}.slowly(payload) AS payload FROM {schema}.all_events";
        raw.batch_execute(&slow.replace("{schema}", &schema)).await.unwrap();
        let recorder = Recorder::new();
        let counters = Repository::<Counter, _>::new(open_in(&schema).await);
        let loaded = recorder.run(counters.load(&1)).await.unwrap();
        assert_eq!((loaded.version.get(), loaded.state.count), (201, 201));
        let rendered = recorder.trees().render();
        assert!(rendered.contains("eventsource.snapshot.used=true"), "{rendered}");
    });
}
