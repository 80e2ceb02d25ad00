//! What a component allocates whose spans and metrics are off: as much as one without telemetry does.

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry;
use eventsource_tests::everything::{Call, calls, evaluations};
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;

use crate::{ALLOCATOR, turn};

/// How often calls are made, and how many at a time: what tasks leave undone at the end of a call is done in the next.
const ROUNDS: usize = 24;
const AT_ONCE: usize = 8;

/// Components, and what their calls allocate at the least: what keeps events grows in some rounds, and the test's
/// harness allocates in some, but neither in each.
type Allocated = Vec<(&'static str, usize)>;

async fn least(call: &mut Call) -> usize {
    let mut least = usize::MAX;
    for _ in 0..ROUNDS {
        let before = ALLOCATOR.stats().allocations;
        for _ in 0..AT_ONCE {
            call.make().await;
        }
        least = least.min(ALLOCATOR.stats().allocations - before);
    }
    least
}

async fn allocated(calls: impl Future<Output = Vec<Call>>) -> Allocated {
    let mut allocated = Vec::new();
    for mut call in calls.await {
        allocated.push((call.component, least(&mut call).await));
    }
    allocated
}

/// On a thread of its own, where nothing is left from another run; with the number of spans.
fn in_turn(on: bool, measured: impl FnOnce(&Recorder, bool) -> Allocated + Send + 'static) -> (Allocated, usize) {
    std::thread::spawn(move || {
        let recorder = Recorder::with(|builder| builder.metric_exporter(InMemoryMetricExporter::default()));
        (measured(&recorder, on), recorder.started_spans())
    })
    .join()
    .unwrap()
}

fn wait<F: Future>(of: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(of)
}

fn with_telemetry(on: bool) -> (Allocated, usize) {
    in_turn(on, |recorder, on| {
        let store = || MemoryStore::new().enable_tracing(on).enable_metrics(on);
        wait(recorder.run(allocated(calls(store, on))))
    })
}

/// Stores that have neither spans nor metrics, and components whose process has none either.
fn without_telemetry() -> Allocated {
    telemetry::set_enabled(false);
    let (allocated, spans) =
        in_turn(false, |_, _| wait(allocated(calls(|| MemoryStore::new().inner().clone(), false))));
    telemetry::set_enabled(true);
    assert_eq!(spans, 0);
    allocated
}

/// The tasks of a runtime on one thread do the same in the same order, so that it can be counted; what a call costs
/// that waits for a server cannot.
#[tokio::test]
async fn a_component_that_is_off_allocates_what_it_does_without_telemetry() {
    let _turn = turn().await;
    let bare = without_telemetry();
    evaluations();
    let (off, spans) = with_telemetry(false);
    assert_eq!((spans, evaluations()), (0, vec![]));
    assert_eq!(off, bare);
    let (on, spans) = with_telemetry(true);
    assert!(spans > 0 && !evaluations().is_empty());
    for ((component, on), (_, off)) in on.iter().zip(&off) {
        assert!(on > off, "{component}: {on} and {off}");
    }
}

/// OpenTelemetry's provider that does nothing was told all that a reader would have been.
#[tokio::test]
async fn nothing_is_made_of_metrics_that_nobody_reads() {
    let _turn = turn().await;
    let bare = without_telemetry();
    telemetry::set_enabled(false);
    let unread = std::thread::spawn(|| wait(allocated(calls(MemoryStore::new, true)))).join().unwrap();
    telemetry::set_enabled(true);
    assert_eq!(unread, bare);
}
