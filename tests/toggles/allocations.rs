//! What a component allocates whose spans and metrics are off: as much as one whose spans and metrics are compiled out,
//! which `off` holds to the same numbers.

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::everything::{ALLOCATED, Call, allocated, calls, evaluations};
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;

use crate::{ALLOCATOR, turn};

/// What calls allocate, the spans that they start, and the expressions that they evaluate.
type Left = (Vec<(&'static str, usize)>, usize, Vec<&'static str>);

/// On a thread of its own, where nothing is left from another run.
fn left<F: Future<Output = Vec<Call>> + 'static>(recorder: fn() -> Recorder, calls: fn() -> F) -> Left {
    let measure = move || {
        let recorder = recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let count = || ALLOCATOR.stats().allocations;
        let allocated = runtime.block_on(recorder.run(allocated(calls(), count)));
        (allocated, recorder.started_spans(), evaluations())
    };
    std::thread::spawn(measure).join().unwrap()
}

fn measured() -> Recorder {
    Recorder::with(|builder| builder.metric_exporter(InMemoryMetricExporter::default()))
}

fn on() -> impl Future<Output = Vec<Call>> {
    calls(MemoryStore::new, true)
}

/// By the components' own switches.
fn off() -> impl Future<Output = Vec<Call>> {
    calls(|| MemoryStore::new().enable_tracing(false).enable_metrics(false), false)
}

fn nothing() -> Left {
    (ALLOCATED.to_vec(), 0, vec![])
}

#[tokio::test]
async fn a_component_that_is_off_allocates_what_it_does_with_telemetry_compiled_out() {
    let _turn = turn().await;
    evaluations();
    assert_eq!(left(measured, off), nothing());
    let (on, spans, evaluated) = left(measured, on);
    assert!(spans > 0 && !evaluated.is_empty());
    for ((component, on), (_, off)) in on.iter().zip(ALLOCATED) {
        assert!(*on > off, "{component}: {on} and {off}");
    }
}

/// Its switch is that of spans; metrics are off by the components'.
#[tokio::test]
async fn components_of_a_process_that_is_off_allocate_what_they_do_with_telemetry_compiled_out() {
    let _turn = turn().await;
    telemetry::set_enabled(false);
    let left = [left(measured, off), left(Recorder::new, on)];
    telemetry::set_enabled(true);
    assert_eq!(left, [nothing(), nothing()]);
}

#[tokio::test]
async fn components_that_are_off_by_the_environment_allocate_what_they_do_with_telemetry_compiled_out() {
    const NAME: &str =
        "allocations::components_that_are_off_by_the_environment_allocate_what_they_do_with_telemetry_compiled_out";
    if is_alone() {
        return assert_eq!(left(measured, on), nothing());
    }
    passed(alone(NAME).env("OTEL_SDK_DISABLED", "true"), 1);
}

/// OpenTelemetry's provider that does nothing was told all that a reader would have been.
#[tokio::test]
async fn nothing_is_made_of_metrics_that_nobody_reads() {
    let _turn = turn().await;
    telemetry::set_enabled(false);
    let unread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(allocated(on(), || ALLOCATOR.stats().allocations))
    });
    let unread = unread.join().unwrap();
    telemetry::set_enabled(true);
    assert_eq!(unread, ALLOCATED);
}
