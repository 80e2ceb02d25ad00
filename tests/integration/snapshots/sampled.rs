//! Loads whose snapshots have no spans.

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::*;

/// Drops the spans of snapshots.
#[derive(Clone, Debug)]
struct WithoutSnapshots;

impl ShouldSample for WithoutSnapshots {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let is_kept = !name.starts_with("snapshot_store.");
        let decision = if is_kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

/// The span of the load took its cue from that of the snapshot, and ended as cancelled.
#[tokio::test]
async fn a_load_is_told_where_the_reading_of_its_snapshot_is_not() {
    let recorder = Recorder::with(|builder| builder.sampler(WithoutSnapshots));
    let (tallies, id) = (Repository::<Tally, _>::new(MemoryStore::new()), Uuid::now_v7());
    let events: Vec<_> = (0..3).map(|number| TallyEvent::from(Added { number })).collect();
    tallies.append(&id, ExpectedVersion::NoStream, events).await.unwrap();
    tallies.create_snapshot(&id).await.unwrap();
    recorder.run(tallies.load(&id)).await.unwrap();
    let spans = recorder.spans();
    let mut names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["event_store.load", "load_aggregate"]);
    for span in spans {
        let keys: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert!(!keys.contains(&names::EVENTSOURCE_CANCELLED), "{}: {keys:?}", span.name);
    }
}
