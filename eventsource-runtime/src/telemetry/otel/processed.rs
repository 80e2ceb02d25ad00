//! What becomes of spans and log records on their way out, and the counters that report it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::metrics;
use super::observed::{MeterId, Observed};
use crate::sync::Mutex;
use crate::telemetry::names;

static SPANS: Signal = Signal::new();
static LOGS: Signal = Signal::new();

/// What the counters of one signal report.
struct Signal {
    /// Of set-ups with a meter of their own, which ends with them.
    own: Observed<(), Processed>,
    /// Of all other set-ups so far, whose counters are the process's, and so do not fall when one ends.
    process: Mutex<Vec<Arc<Processed>>>,
}

/// What became of the items of one signal of a set-up.
#[derive(Debug, Default)]
pub(super) struct Processed {
    pub(super) exported: AtomicU64,
    pub(super) queue_full: AtomicU64,
    pub(super) export_failed: AtomicU64,
}

impl Processed {
    /// What has been counted, in the order of the fields.
    fn counts(&self) -> [u64; 3] {
        [&self.exported, &self.queue_full, &self.export_failed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Signal {
    const fn new() -> Self {
        Self { own: Observed::new(), process: Mutex::new(Vec::new()) }
    }

    fn tell(&self, own: Option<&MeterId>, processed: &Arc<Processed>) {
        if own.is_some() {
            return self.own.add_of(own, (), processed);
        }
        let mut process = self.process.lock();
        // Those that have ended are kept as one.
        let (ended, mut kept): (Vec<_>, Vec<_>) =
            process.drain(..).partition(|processed| Arc::strong_count(processed) == 1);
        if !ended.is_empty() {
            let [exported, queue_full, export_failed] = sums(&ended).map(AtomicU64::new);
            kept.push(Arc::new(Processed { exported, queue_full, export_failed }));
        }
        kept.push(Arc::clone(processed));
        *process = kept;
    }

    /// What the counters of that meter report.
    fn told(&self, meter_id: &MeterId) -> Option<[u64; 3]> {
        let mut all: Vec<_> = self.own.living(meter_id).into_iter().map(|((), processed)| processed).collect();
        if metrics::are_of_process(meter_id) {
            all.extend(self.process.lock().iter().cloned());
        }
        (!all.is_empty()).then(|| sums(&all))
    }
}

fn sums(all: &[Arc<Processed>]) -> [u64; 3] {
    all.iter().fold([0; 3], |sums, processed| {
        let counts = processed.counts();
        std::array::from_fn(|at| sums[at] + counts[at])
    })
}

/// Creates the counters of one meter.
pub(super) fn make(meter: &Meter, meter_id: &MeterId) {
    observe(meter, meter_id, (names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED, "{span}"), &SPANS);
    observe(meter, meter_id, (names::OTEL_SDK_PROCESSOR_LOG_PROCESSED, "{log_record}"), &LOGS);
}

/// Has the counters report what becomes of spans: those of a set-up's own meter, or the process's if it has none.
pub(super) fn tell_spans(own: Option<&MeterId>, spans: &Arc<Processed>) {
    SPANS.tell(own, spans);
}

/// The same of log records.
pub(super) fn tell_logs(own: Option<&MeterId>, logs: &Arc<Processed>) {
    LOGS.tell(own, logs);
}

/// The callback reads atomics: it cannot panic, which would end the thread that exports metrics.
fn observe(meter: &Meter, meter_id: &MeterId, (name, unit): (&'static str, &'static str), of: &'static Signal) {
    let meter_id = meter_id.clone();
    meter
        .u64_observable_counter(name)
        .with_unit(unit)
        .with_description(names::description(name))
        .with_callback(move |observer| {
            let Some(told) = of.told(&meter_id) else { return };
            let outcomes = told.into_iter().zip([None, Some("queue_full"), Some("export_failed")]);
            for (sum, error_type) in outcomes {
                let error_type = error_type.map(|name| KeyValue::new(names::ERROR_TYPE, name));
                observer.observe(sum, error_type.as_slice());
            }
        })
        .build();
}
