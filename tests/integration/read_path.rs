//! Projections and queries.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionOptions;
use eventsource_runtime::store::{Filter, MemoryStore, SqliteStore, SqliteTransaction};
use eventsource_tests::logged::Log;
use eventsource_tests::orders::{OrderPlaced, OrderQueries, OrderReadModel, OrdersByStatus};
use eventsource_tests::recorder::Recorder;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use uuid::Uuid;

use crate::{bus, place, ship, sqlite};

async fn place_many(store: &SqliteStore, count: usize) -> Position {
    let bus = bus(store);
    let mut last = Position::START;
    for _ in 0..count {
        last = bus.dispatch(place(Uuid::now_v7())).await.unwrap().position;
    }
    last
}

async fn rows(store: &SqliteStore, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.reader().read(move |connection| connection.query_row(&sql, [], |row| row.get(0))).await.unwrap()
}

#[tokio::test]
async fn a_write_can_be_read_when_it_was_waited_for() {
    let store = sqlite().await;
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
    let queries = QueryBus::builder().handler(OrderQueries::new(store.reader())).build();
    for placed in 1..=20 {
        let committed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
        projections.wait_for(committed.position).await.unwrap();
        assert_eq!(queries.execute(OrdersByStatus { status: "placed".into() }).await.unwrap().len(), placed);
    }
    assert_eq!(projections.checkpoint("OrderReadModel").map(Position::get), Some(20));
    projections.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_reads_events_can_be_a_stream() {
    let store = sqlite().await;
    let order = Uuid::now_v7();
    bus(&store).dispatch(place(order)).await.unwrap();
    bus(&store).dispatch(ship(order)).await.unwrap();
    let position = |event: Result<StoredEvent, StoreError>| event.unwrap().position.get();

    let of_one = store.load(&StreamId::new("Order", order), Version::START).into_stream();
    assert_eq!(of_one.map(position).collect::<Vec<_>>().await, [1, 2]);
    let mut shipped = store.feed(Position::START, Filter::all().event_types(["OrderShipped".to_owned()])).into_stream();
    assert_eq!(shipped.next().await.map(position), Some(2));
    assert!(shipped.next().await.is_none());

    let mut live = store.subscribe(Position::new(1)).into_stream();
    assert_eq!(live.next().await.map(position), Some(2));
    // A future that is dropped while nothing comes takes nothing with it.
    assert!(live.next().now_or_never().is_none());
    place_many(&store, 1).await;
    assert_eq!(live.next().await.map(position), Some(3));

    store.close().await;
    let after_the_end = store.feed(Position::new(1), Filter::all()).into_stream();
    let errors = after_the_end.take(2).map(|read| matches!(read, Err(StoreError::Closed)));
    assert_eq!(errors.collect::<Vec<_>>().await, [true, true]);
}

#[tokio::test]
async fn catching_up_makes_one_span_a_batch_with_a_link_for_each_event() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = sqlite().await;
            let last = place_many(&store, 40).await;
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            assert_eq!(rows(&store, "order_views").await, 40);
        })
        .await;
    let trees = recorder.trees();
    let batch = trees.span("projection.OrderReadModel");
    assert_eq!(batch.links.links.len(), 40);
    assert!(!trees.names().contains("handler."), "{}", trees.names());
    assert!(trees.render().contains("eventsource.batch.size=40"));
}

#[tokio::test]
async fn a_rebuild_replays_into_an_emptied_read_model() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = sqlite().await;
            let last = place_many(&store, 3).await;
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).rebuild().spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            assert_eq!(rows(&store, "order_views").await, 3);
        })
        .await;
    let rendered = recorder.trees().render();
    assert!(rendered.contains("~> persist_events eventsource.event.id={event} eventsource.replay=true"), "{rendered}");
}

#[tokio::test]
async fn a_runner_that_ignores_contexts_makes_no_links_live_or_in_a_rebuild() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = sqlite().await;
            let runner = || ProjectionRunner::new(store.clone()).projection(OrderReadModel).ignore_contexts();
            let projections = runner().spawn();
            projections.wait_for(place_many(&store, 1).await).await.unwrap();
            projections.shutdown().await.unwrap();
            let projections = runner().rebuild().spawn();
            projections.wait_for(store.head().await.unwrap()).await.unwrap();
            projections.shutdown().await.unwrap();
        })
        .await;
    let rendered = recorder.trees().render();
    assert_eq!(rendered.matches("projection.OrderReadModel CONSUMER").count(), 2, "{rendered}");
    assert!(!rendered.contains("~>"), "{rendered}");
}

/// Counts, and fails at one event a number of times.
struct Flaky {
    fail_at: u64,
    failures: AtomicUsize,
}

#[projection]
impl Flaky {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE counted (n INTEGER)")?)
    }

    fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("INSERT INTO counted VALUES (?1)", [event.position().get()])?;
        let fails = event.position() == self.fail_at
            && self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { Err(ProjectionError::new("not this time")) } else { Ok(()) }
    }
}

/// The other one would stop: it cannot be emptied.
#[tokio::test]
async fn one_projection_of_a_runner_is_rebuilt_without_the_others() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = sqlite().await;
            let last = place_many(&store, 3).await;
            for options in [ProjectionOptions::default(), ProjectionOptions::default().rebuild()] {
                let flaky = Flaky { fail_at: 0, failures: AtomicUsize::new(0) };
                let runner = ProjectionRunner::new(store.clone()).projection(flaky);
                let projections = runner.projection_with(OrderReadModel, options).spawn();
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
                assert_eq!((rows(&store, "counted").await, rows(&store, "order_views").await), (3, 3));
            }
        })
        .await;
    assert!(recorder.trees().render().contains("eventsource.replay=true"));
}

#[tokio::test]
async fn a_step_that_fails_is_rolled_back_and_tried_again() {
    let store = sqlite().await;
    let last = place_many(&store, 20).await;
    let flaky = Flaky { fail_at: 13, failures: AtomicUsize::new(3) };
    let projections = ProjectionRunner::new(store.clone()).projection(flaky).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(rows(&store, "counted").await, 20);
}

#[tokio::test]
async fn a_projection_that_gives_up_says_where_and_why() {
    let store = sqlite().await;
    place_many(&store, 11).await;
    let order = Uuid::now_v7();
    bus(&store).dispatch(place(order)).await.unwrap();
    // Nothing for the projection: the event at fault does not follow its checkpoint.
    bus(&store).dispatch(ship(order)).await.unwrap();
    let last = place_many(&store, 7).await;
    let flaky = Flaky { fail_at: 14, failures: AtomicUsize::new(usize::MAX) };
    let projections = ProjectionRunner::new(store.clone()).projection(flaky).max_retries(2).spawn();
    let stopped = projections.wait_for(last).await.unwrap_err();
    assert_eq!((stopped.event(), stopped.error_type()), (Some(Position::new(14)), "projection"));
    let ProjectionStopped::Failed { projection, checkpoint, source, .. } = stopped else { panic!("{stopped}") };
    assert_eq!((projection, checkpoint.get(), source.to_string().as_str()), ("Flaky", 12, "not this time"));
    assert!(projections.shutdown().await.is_err());
    assert_eq!(rows(&store, "counted").await, 12);
}

/// Creates the same table under another name of its own.
struct Clashing;

#[projection]
impl Clashing {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE counted (n INTEGER)")?)
    }

    fn placed(&self, _: &Recorded<OrderPlaced>, _: &SqliteTransaction<'_>) {}
}

#[tokio::test]
async fn a_new_projection_may_begin_after_the_past_and_is_rebuilt_from_all_of_it() {
    let (options, after) = (ProjectionOptions::default, Position::new(2));
    let cases = [
        (options().begin_now(), false, 1),
        (options().begin_after(after), false, 2),
        (options(), true, 1),
        (options().begin_after(after), true, 2),
    ];
    for (begins, all_begin_now, rows_then) in cases {
        let store = sqlite().await;
        place_many(&store, 3).await;
        let run = async |options: ProjectionOptions, last: Position| {
            let runner = ProjectionRunner::new(store.clone()).projection_with(OrderReadModel, options);
            let runner = if all_begin_now { runner.begin_now() } else { runner };
            let projections = runner.spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            rows(&store, "order_views").await
        };
        run(begins.clone(), Position::new(3)).await;
        let last = place_many(&store, 1).await;
        assert_eq!(run(begins.clone(), last).await, rows_then, "it is new no more");
        assert_eq!(run(begins.rebuild(), last).await, 4);
    }
}

#[tokio::test]
async fn a_projection_that_cannot_be_emptied_is_not_rebuilt() {
    let store = sqlite().await;
    let last = place_many(&store, 3).await;
    let counting = || Flaky { fail_at: 0, failures: AtomicUsize::new(0) };
    let projections = ProjectionRunner::new(store.clone()).projection(counting()).spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    let rebuilt = ProjectionRunner::new(store.clone()).projection(counting()).rebuild().max_retries(0).spawn();
    let ProjectionStopped::Failed { source, .. } = rebuilt.wait_for(last).await.unwrap_err() else { panic!() };
    assert!(source.to_string().contains("#[projection(reset)]"), "{source}");
    assert_eq!(rows(&store, "counted").await, 3);
}

#[tokio::test]
async fn a_set_up_that_fails_comes_out_of_wait_for() {
    let store = sqlite().await;
    let last = place_many(&store, 1).await;
    let first = ProjectionRunner::new(store.clone()).projection(Flaky { fail_at: 0, failures: AtomicUsize::new(0) });
    let first = first.spawn();
    first.wait_for(last).await.unwrap();
    first.shutdown().await.unwrap();

    let clashing = ProjectionRunner::new(store.clone()).projection(Clashing).max_retries(0).spawn();
    let error = clashing.wait_for(last).await.unwrap_err();
    assert!(matches!(error, ProjectionStopped::Failed { .. }), "{error}");

    // And out of a shut-down, be it before the first attempt or between two.
    let clashing = ProjectionRunner::new(store.clone()).projection(Clashing).spawn();
    let error = clashing.shutdown().await.unwrap_err();
    assert!(matches!(error, ProjectionStopped::Failed { .. }), "{error}");
    let log = Log::of_process();
    let clashing = ProjectionRunner::new(store).projection(Clashing).max_retries(u32::MAX).spawn();
    log.hears_of("eventsource.projection.retried", "eventsource.projection.name", "Clashing").await;
    let error = clashing.shutdown().await.unwrap_err();
    assert!(matches!(error, ProjectionStopped::Failed { .. }), "{error}");
}

/// A report that had stopped failed every page of orders.
#[tokio::test]
async fn one_projection_is_waited_for_without_the_others() {
    let store = sqlite().await;
    let report = Flaky { fail_at: 1, failures: AtomicUsize::new(usize::MAX) };
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).projection(report);
    let projections = projections.max_retries(0).spawn();
    let all = projections.progress();
    let orders = all.of("OrderReadModel").unwrap();
    assert!(all.of("Orders").is_none());

    let last = place_many(&store, 1).await;
    orders.wait_for(last).await.unwrap();
    assert_eq!(all.wait_for(last).await.unwrap_err().projection(), "Flaky");
    assert_eq!(all.stopped().await.projection(), "Flaky");
    assert_eq!((orders.checkpoint("OrderReadModel"), orders.checkpoint("Flaky")), (Some(last), None));

    projections.shutdown().await.unwrap_err();
    orders.wait_for(last).await.unwrap();
    let stopped = [orders.stopped().await, orders.wait_for(Position::new(2)).await.unwrap_err()];
    assert!(stopped.iter().all(|stopped| matches!(stopped, ProjectionStopped::ShutDown { .. })), "{stopped:?}");
}

#[tokio::test]
async fn waiting_has_a_deadline() {
    let store = MemoryStore::new();
    let projections = ProjectionRunner::new(store).projection(Counting::default()).spawn();
    let late = projections.wait_for_within(Position::new(1), Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(late, ProjectionStopped::Late { .. }), "{late}");
}

/// A projection that needs no store of its own, with an async method.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

#[projection]
impl Counting {
    async fn placed(&self, _: &Recorded<OrderPlaced>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn events_that_nobody_listens_to_do_not_hold_up_a_wait() {
    let store = MemoryStore::new();
    let counting = Counting::default();
    let projections = ProjectionRunner::new(store.clone()).projection(counting.clone()).spawn();
    let order = Uuid::now_v7();
    bus(&store).dispatch(place(order)).await.unwrap();
    let shipped = bus(&store).dispatch(ship(order)).await.unwrap();
    projections.wait_for(shipped.position).await.unwrap();
    assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    projections.shutdown().await.unwrap();
}

#[tokio::test]
async fn queries_go_by_type_and_by_name() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let store = sqlite().await;
            let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
            let last = place_many(&store, 2).await;
            projections.wait_for(last).await.unwrap();
            let queries = QueryBus::builder().handler(OrderQueries::new(store.reader())).build();
            let json = queries.execute_json("OrdersByStatus", r#"{"status":"placed"}"#).await.unwrap();
            assert_eq!(json.as_array().map(Vec::len), Some(2));
            assert!(queries.execute_json("Unheard", b"{}").await.is_err());
            assert!(queries.execute_json("OrdersByStatus", b"[]").await.is_err());
            projections.shutdown().await.unwrap();
        })
        .await;
    let rendered = recorder.trees().render();
    assert!(rendered.contains("cqrs.query.result_count=2"), "{rendered}");
    assert!(rendered.contains("query.unknown ERROR \"No handler for Unheard\""), "{rendered}");
}

#[derive(Query, Deserialize)]
#[query(output = (f32, u128))]
struct Measure {
    bits: u32,
}

/// Its answer has no `Serialize`.
#[derive(Query, Deserialize)]
#[query(output = std::time::Instant)]
struct Look {}

struct Scale;

#[query_handler]
impl Scale {
    fn measure(&self, query: Measure) -> Result<(f32, u128), Infallible> {
        Ok((0.1, 1 << query.bits))
    }

    fn look(&self, _: Look) -> Result<std::time::Instant, Infallible> {
        Ok(std::time::Instant::now())
    }
}

/// An `f32` came with digits that nobody had written, and an integer that a tree cannot hold had no `Serialize`.
#[tokio::test]
async fn an_answer_in_json_is_as_written_or_says_why_it_is_not() {
    let queries = QueryBus::builder().handler(Scale).build();
    let answer = queries.execute_json("Measure", r#"{"bits":63}"#).await.unwrap();
    assert_eq!(answer, serde_json::json!([0.1, 1_u64 << 63]));
    let wide = queries.execute_json("Measure", r#"{"bits":70}"#).await.unwrap_err();
    assert!(wide.to_string().ends_with("integers beyond 64 bits are written as text"), "{wide}");
    let opaque = queries.execute_json("Look", "{}").await.unwrap_err();
    assert!(opaque.to_string().ends_with("derive `Serialize` for its output"), "{opaque}");
}
