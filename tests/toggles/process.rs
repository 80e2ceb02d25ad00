//! `set_enabled` and `OTEL_SDK_DISABLED`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::everything::{self, EXPRESSIONS, Off, evaluations, plain, waiting};
use eventsource_tests::orders::Order;
use eventsource_tests::recorder::Recorder;
use futures_util::StreamExt;
use uuid::Uuid;

use crate::{ALLOCATOR, bus, place, turn};

#[tokio::test]
async fn off_by_the_switch_there_is_no_span_and_nothing_is_evaluated() {
    let _turn = turn().await;
    let recorder = Recorder::new();
    recorder.run(everything::run(Off::default())).await;
    assert_eq!(evaluations(), EXPRESSIONS);
    let before = recorder.started_spans();
    assert!(before > 0);
    telemetry::set_enabled(false);
    recorder.run(everything::run(Off::default())).await;
    telemetry::set_enabled(true);
    assert_eq!((recorder.started_spans() - before, evaluations()), (0, vec![]));
}

#[tokio::test]
async fn a_function_that_is_first_called_while_spans_are_off_has_them_later() {
    #[traced]
    fn fresh() {}

    let _turn = turn().await;
    let recorder = Recorder::new();
    for enabled in [false, true, false] {
        telemetry::set_enabled(enabled);
        recorder.run(async { fresh() }).await;
    }
    telemetry::set_enabled(true);
    assert_eq!(recorder.started_spans(), 1);
}

#[tokio::test]
async fn off_by_a_component_nothing_below_it_is_evaluated() {
    let _turn = turn().await;
    let recorder = Recorder::new();
    recorder
        .run(telemetry::span("off").options(|options| options.enable_tracing(false)).run(everything::functions()))
        .await;
    assert_eq!((recorder.started_spans(), evaluations()), (0, vec![]));
}

/// They were asked where it was made.
#[tokio::test]
async fn a_span_by_hand_asks_the_switches_where_it_starts() {
    let _turn = turn().await;
    let recorder = Recorder::new();
    let made = || telemetry::span("made.elsewhere").attribute("rows", 3);
    let started = async {
        let (closure, future, stream, last) = (made(), made(), made(), made());
        telemetry::span("off").options(|options| options.enable_tracing(false)).in_scope(|| closure.in_scope(|| ()));
        telemetry::set_enabled(false);
        future.run(async {}).await;
        assert_eq!(stream.stream(futures_util::stream::iter(0..3)).count().await, 3);
        telemetry::set_enabled(true);
        let before = recorder.started_spans();
        last.in_scope(|| ());
        (before, recorder.started_spans())
    };
    assert_eq!(recorder.run(started).await, (0, 1));
}

#[tokio::test]
async fn a_call_whose_span_is_off_allocates_nothing() {
    let _turn = turn().await;
    telemetry::set_enabled(false);
    let calls = || {
        for _ in 0..100 {
            assert_eq!(plain("four"), 4);
            current_span().record("half.way", 1);
        }
    };
    calls();
    // The test's harness may allocate on another thread meanwhile, but not each time.
    let least = (0..100).map(|_| {
        let before = ALLOCATOR.stats().allocations;
        calls();
        ALLOCATOR.stats().allocations - before
    });
    let least = least.min();
    telemetry::set_enabled(true);
    assert_eq!((least, evaluations()), (Some(0), vec![]));
}

static SWITCHED: AtomicBool = AtomicBool::new(false);

#[traced(enable_tracing = SWITCHED.load(Ordering::SeqCst))]
async fn switched() {
    tokio::task::yield_now().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn switched_a_thousand_times_under_load_every_span_that_starts_ends() {
    let _turn = turn().await;
    let recorder = Arc::new(Recorder::new());
    let (done, commands) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = (0..4).map(|_| {
        let (recorder, done, commands) = (Arc::clone(&recorder), Arc::clone(&done), Arc::clone(&commands));
        tokio::spawn(async move {
            let orders = bus::<Order>(&MemoryStore::new());
            while !done.load(Ordering::SeqCst) {
                recorder.run(orders.dispatch(place(Uuid::now_v7(), 1))).await.unwrap();
                recorder.run(waiting("four")).await;
                recorder.run(switched()).await;
                commands.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let load: Vec<_> = load.collect();
    let (shared, ended) = (Arc::clone(&recorder), Arc::clone(&done));
    let all = tokio::spawn(async move {
        while !ended.load(Ordering::SeqCst) {
            shared.run(everything::run(Off::default())).await;
        }
    });
    for turned in 0..1000 {
        telemetry::set_enabled(turned % 2 == 1);
        SWITCHED.store(turned % 3 == 1, Ordering::SeqCst);
        let before = commands.load(Ordering::SeqCst);
        while commands.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for task in load.into_iter().chain([all]) {
        task.await.unwrap();
    }
    assert!(recorder.started_spans() > 0);
    assert_eq!(recorder.open_spans(), 0);
    assert_eq!(recorder.spans().len(), recorder.started_spans());
    evaluations();
}

#[test]
fn disabled_by_the_environment_a_process_emits_nothing() {
    passed(alone("process::disabled").env("OTEL_SDK_DISABLED", "true"), 1);
}

/// Does nothing unless it is the child of the test above.
#[tokio::test]
async fn disabled() {
    if !is_alone() {
        return;
    }
    let (recorder, metrics) = Recorder::measured();
    recorder.run(everything::run(Off::default())).await;
    // The variable is stronger than the switch.
    telemetry::set_enabled(true);
    recorder.run(everything::run(Off::default())).await;
    recorder.flush().await;
    assert_eq!((recorder.started_spans(), evaluations()), (0, vec![]));
    let exported: Vec<_> = metrics.get_finished_metrics().unwrap();
    assert!(exported.iter().all(|resource| resource.scope_metrics().next().is_none()), "{exported:?}");
}
