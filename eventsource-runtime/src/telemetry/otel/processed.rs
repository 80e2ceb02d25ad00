//! What becomes of spans and log records on their way out, and the counters that tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::observed::{MeterId, Observed};
use crate::telemetry::names;

static SPANS: Observed<(), Processed> = Observed::new();
static LOGS: Observed<(), Processed> = Observed::new();

/// What became of the items of one signal of a set-up.
#[derive(Debug, Default)]
pub(super) struct Processed {
    pub(super) exported: AtomicU64,
    pub(super) queue_full: AtomicU64,
    pub(super) export_failed: AtomicU64,
}

/// Makes the counters of one meter.
pub(super) fn make(meter: &Meter, meter_id: &MeterId) {
    observe(meter, meter_id, (names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED, "{span}"), &SPANS);
    observe(meter, meter_id, (names::OTEL_SDK_PROCESSOR_LOG_PROCESSED, "{log_record}"), &LOGS);
}

/// Has the counters tell of spans for as long as batches keep up what becomes of them: those of a set-up's own meter, or
/// the process's where it has none.
pub(super) fn tell_spans(own: Option<&MeterId>, processed: &Arc<Processed>) {
    SPANS.add_of(own, (), processed);
}

/// The same of log records.
pub(super) fn tell_logs(own: Option<&MeterId>, processed: &Arc<Processed>) {
    LOGS.add_of(own, (), processed);
}

/// The callback reads atomics: it cannot panic, which would end the thread that exports metrics.
fn observe(
    meter: &Meter,
    meter_id: &MeterId,
    (name, unit): (&'static str, &'static str),
    of: &'static Observed<(), Processed>,
) {
    let meter_id = meter_id.clone();
    meter
        .u64_observable_counter(name)
        .with_unit(unit)
        .with_description(names::description(name))
        .with_callback(move |observer| {
            let all = of.living(&meter_id);
            if all.is_empty() {
                return;
            }
            let sum = |count: fn(&Processed) -> &AtomicU64| {
                all.iter().map(|((), processed)| count(processed).load(Ordering::Relaxed)).sum()
            };
            let outcomes = [
                (sum(|processed| &processed.exported), None),
                (sum(|processed| &processed.queue_full), Some("queue_full")),
                (sum(|processed| &processed.export_failed), Some("export_failed")),
            ];
            for (sum, error_type) in outcomes {
                let error_type = error_type.map(|name| KeyValue::new(names::ERROR_TYPE, name));
                observer.observe(sum, error_type.as_slice());
            }
        })
        .build();
}
