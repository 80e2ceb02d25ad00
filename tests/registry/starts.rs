//! What spans are told at their start.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use eventsource_tests::registry::Registry;
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

/// What a sampler is told of each span, which is all that it can decide by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(Arc<Mutex<Vec<Start>>>);

type Start = (String, SpanKind, Vec<KeyValue>);

impl Starts {
    pub(crate) fn check(&self, registry: &Registry, faults: &mut BTreeSet<String>) {
        let starts = self.0.lock().unwrap();
        assert!(starts.len() > 1000, "the sampler was asked");
        for (name, kind, attributes) in starts.iter() {
            faults.extend(registry.check_start(name, kind, attributes));
        }
    }
}

impl ShouldSample for Starts {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        self.0.lock().unwrap().push((name.to_owned(), kind.clone(), attributes.to_vec()));
        let (decision, trace_state) = (SamplingDecision::RecordAndSample, TraceState::default());
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}
