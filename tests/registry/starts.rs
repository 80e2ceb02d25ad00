//! What spans are told at their start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use eventsource_tests::registry::Registry;
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample, SpanData};

/// What a sampler is told of each span, which is all that it can decide by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts(Arc<Mutex<Vec<Start>>>);

type Start = (TraceId, String, SpanKind, Vec<KeyValue>);

impl Starts {
    /// What required attributes spans lacked at their start, and what else they had only later that `spans` have in the
    /// end.
    pub(crate) fn check(&self, registry: &Registry, spans: &[SpanData], faults: &mut BTreeSet<String>) {
        let starts = self.0.lock().unwrap();
        assert!(starts.len() > 1000, "the sampler was asked");
        // A sampler is not told a span's id, so that those of one name in a trace are counted.
        let mut left = BTreeMap::<_, isize>::new();
        for (trace, name, kind, attributes) in starts.iter() {
            faults.extend(registry.check_start(name, kind, attributes));
            for attribute in attributes {
                *left.entry((trace.to_bytes(), name.clone(), attribute.key.to_string())).or_default() += 1;
            }
        }
        for span in spans {
            for KeyValue { key, .. } in &span.attributes {
                if registry.is_at_start(&span.name, &span.span_kind, key.as_str()) {
                    let trace = span.span_context.trace_id().to_bytes();
                    *left.entry((trace, span.name.to_string(), key.to_string())).or_default() -= 1;
                }
            }
        }
        let late = left.into_iter().filter(|(_, left)| *left < 0);
        faults
            .extend(late.map(|((_, name, key), _)| format!("span `{name}` has `{key}`, and had it not at its start")));
    }
}

impl ShouldSample for Starts {
    fn should_sample(
        &self,
        _: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        self.0.lock().unwrap().push((trace, name.to_owned(), kind.clone(), attributes.to_vec()));
        let (decision, trace_state) = (SamplingDecision::RecordAndSample, TraceState::default());
        SamplingResult { decision, attributes: Vec::new(), trace_state }
    }
}
