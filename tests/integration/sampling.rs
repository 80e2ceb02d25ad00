//! Below a parent that was sampled out: no built-in sampler that goes by the parent lets a span through, as
//! `traced::below_an_unsampled_parent_everybody_sees_it_unsampled` has it; any other sampler is asked.

use std::future::Future;
use std::sync::{Arc, Mutex};

use eventsource_runtime::prelude::*;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::trees::Trees;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState, Tracer, TracerProvider};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
};
use uuid::Uuid;

use crate::{bus, place};

const COMMAND: &str = "command.PlaceOrder(load_aggregate(snapshot_store.get event_store.load) handle_command \
    persist_events(event_store.append))";

/// What a sampler was asked: a span's name, and whether its parent was sampled, if it has one.
type Asked = (String, Option<bool>);

/// Takes all spans but those that are called `dropped`, whatever became of their parents.
#[derive(Clone, Debug, Default)]
struct ByName(Arc<Mutex<Vec<Asked>>>);

impl ByName {
    fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }
}

impl ShouldSample for ByName {
    fn should_sample(
        &self,
        parent: Option<&OtelContext>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|parent| parent.span().span_context().clone()).filter(SpanContext::is_valid);
        self.0.lock().unwrap().push((name.to_owned(), parent.map(|parent| parent.is_sampled())));
        let decision = if name == "dropped" { SamplingDecision::Drop } else { SamplingDecision::RecordAndSample };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

#[traced]
async fn dropped<F: Future>(body: F) -> (Option<TraceContext>, F::Output) {
    (TraceContext::current(), body.await)
}

#[traced]
async fn kept() {
    let order = Uuid::now_v7();
    bus(&MemoryStore::new()).dispatch(place(order)).await.unwrap();
}

#[traced(parent = context)]
async fn continued<F: Future>(context: &TraceContext, body: F) -> F::Output {
    let _ = context;
    body.await
}

fn remote() -> TraceContext {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap()
}

fn ids(span: &SpanData) -> (u128, u64) {
    let bytes = (span.span_context.trace_id().to_bytes(), span.parent_span_id.to_bytes());
    (u128::from_be_bytes(bytes.0), u64::from_be_bytes(bytes.1))
}

#[tokio::test]
async fn a_sampler_of_ones_own_is_asked_below_a_span_that_it_dropped_and_may_record() {
    let sampler = ByName::default();
    let recorder = Recorder::with(|builder| builder.sampler(sampler.clone()));
    let (above, ()) = recorder.run(dropped(kept())).await;
    let above = above.expect("a span that was dropped has a context");
    assert!(!above.is_sampled());
    let asked = sampler.asked();
    assert_eq!(asked[..2], [("dropped".to_owned(), None), ("kept".to_owned(), Some(false))]);
    assert!(asked[2..].iter().all(|(_, parent)| *parent == Some(true)), "{asked:?}");
    let trees = recorder.trees();
    assert_eq!(trees.names(), format!("kept({COMMAND})"));
    assert_eq!(ids(trees.span("kept")), (above.trace_id(), above.span_id()));
}

/// Where it is a component's span that is dropped, or that begins below it.
#[tokio::test]
async fn so_it_is_for_the_spans_of_components() {
    let sampler = ByName::default();
    let recorder = Recorder::with(|builder| builder.sampler(sampler.clone()));
    let store = MemoryStore::new();
    recorder.run(dropped(bus(&store).dispatch(place(Uuid::now_v7())))).await.1.unwrap();
    assert!(sampler.asked().contains(&("command.PlaceOrder".to_owned(), Some(false))), "{:?}", sampler.asked());
    assert_eq!(recorder.trees().names(), COMMAND);
}

#[tokio::test]
async fn a_sampler_of_ones_own_is_asked_below_a_remote_parent_that_was_sampled_out() {
    let sampler = ByName::default();
    let recorder = Recorder::with(|builder| builder.sampler(sampler.clone()));
    recorder.run(continued(&remote(), kept())).await;
    assert_eq!(sampler.asked()[0], ("continued".to_owned(), Some(false)));
    let trees = recorder.trees();
    assert_eq!(trees.names(), format!("continued(kept({COMMAND}))"));
    assert_eq!(ids(trees.span("continued")), (remote().trace_id(), remote().span_id()));
}

#[test]
fn always_on_records_below_parents_that_were_sampled_out() {
    let output = passed(alone("sampling::always_on").env("OTEL_TRACES_SAMPLER", "always_on"), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("all are recorded"), "{output:?}");
}

/// Does its work only in the process that the test above starts.
#[tokio::test]
async fn always_on() {
    if !is_alone() {
        return;
    }
    let exporter = InMemorySpanExporter::default();
    let telemetry = Telemetry::from_env("tests").simple_exporter(exporter.clone()).build().unwrap();

    telemetry.run(continued(&remote(), kept())).await;
    let trees = Trees::new(exporter.get_finished_spans().unwrap());
    assert_eq!(trees.names(), format!("continued(kept({COMMAND}))"));
    assert_eq!(ids(trees.span("continued")), (remote().trace_id(), remote().span_id()));

    // A local one can only be somebody else's.
    exporter.reset();
    let theirs = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff).build();
    let dropped = OtelContext::current_with_span(theirs.tracer("somebody-else").start("dropped"));
    let above = dropped.span().span_context().clone();
    assert!(above.is_valid() && !above.is_sampled());
    let below = {
        let _attached = dropped.attach();
        telemetry.run(kept())
    };
    below.await;
    let trees = Trees::new(exporter.get_finished_spans().unwrap());
    assert_eq!(trees.names(), format!("kept({COMMAND})"));
    let kept = trees.span("kept");
    assert_eq!((kept.span_context.trace_id(), kept.parent_span_id), (above.trace_id(), above.span_id()));
    println!("all are recorded");
}
