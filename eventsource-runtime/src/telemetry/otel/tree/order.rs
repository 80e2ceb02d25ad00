//! Orders traces: what links to a trace comes right after it.

use std::collections::HashMap;

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;

/// The spans of each trace, as they end. A trace is placed where it began, or below the one that it links to.
pub(super) fn grouped(spans: &[SpanData]) -> Vec<Vec<SpanData>> {
    let mut traces: Vec<Vec<SpanData>> = Vec::new();
    let mut place = HashMap::new();
    for span in spans {
        let at = *place.entry(span.span_context.trace_id()).or_insert_with(|| {
            traces.push(Vec::new());
            traces.len() - 1
        });
        traces[at].push(span.clone());
    }
    traces.sort_by_key(|spans| spans.iter().map(|span| span.start_time).min());
    let place: HashMap<TraceId, usize> = traces
        .iter()
        .enumerate()
        .filter_map(|(at, spans)| Some((spans.first()?.span_context.trace_id(), at)))
        .collect();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); traces.len()];
    let mut stack = Vec::new();
    for (at, spans) in traces.iter().enumerate() {
        // Only to what began earlier, so that links in a circle leave nothing out.
        match led_from(spans, &place).filter(|to| *to < at) {
            Some(to) => below[to].push(at),
            None => stack.push(at),
        }
    }
    stack.reverse();
    let mut ordered = Vec::with_capacity(traces.len());
    while let Some(at) = stack.pop() {
        ordered.push(std::mem::take(&mut traces[at]));
        stack.extend(below[at].iter().rev());
    }
    ordered
}

/// The trace that the first link of these spans leads to.
fn led_from(spans: &[SpanData], place: &HashMap<TraceId, usize>) -> Option<usize> {
    let first = spans.iter().filter(|span| !span.links.links.is_empty()).min_by_key(|span| span.start_time)?;
    first.links.links.iter().find_map(|link| place.get(&link.span_context.trace_id()).copied())
}
