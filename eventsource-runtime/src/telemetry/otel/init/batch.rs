//! Spans go to exporters in batches, on a thread of their own: what does not fit into the queue is dropped, and all that
//! becomes of spans is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Meter;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::reporting::{EVERY, Reporting};
use crate::telemetry::{log, names};

/// How many spans wait where nothing else is said, as OpenTelemetry has it.
const MOST_WAITING: usize = 2048;
/// What became of the spans of one set-up. Each counter is read by an observable instrument.
#[derive(Debug, Default)]
pub(super) struct Processed {
    exported: AtomicU64,
    queue_full: AtomicU64,
    export_failed: AtomicU64,
}

/// OpenTelemetry's batch processor, behind a door that lets in no more than it can hold.
pub(super) struct Batches {
    processor: BatchSpanProcessor,
    door: Arc<Door>,
}

struct Door {
    /// Those in the queue, and those that are being exported.
    waiting: AtomicUsize,
    most: usize,
    processed: Arc<Processed>,
    began: Instant,
    /// When drops may be logged again, in milliseconds since `began`.
    log_from: AtomicU64,
    closed: AtomicBool,
}

impl Batches {
    pub(super) fn new<E>(exporter: Reporting<E>, most: usize, processed: &Arc<Processed>) -> Self
    where
        E: SpanExporter + 'static,
    {
        let door = Arc::new(Door {
            waiting: AtomicUsize::new(0),
            most,
            processed: Arc::clone(processed),
            began: Instant::now(),
            log_from: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let exporter = Leaving { exporter, door: Arc::clone(&door) };
        let config = BatchConfigBuilder::default().with_max_queue_size(most).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        Self { processor, door }
    }
}

/// The size of the queue as OpenTelemetry's SDK reads it, whichever way the set-up was made.
pub(super) fn queue_size() -> usize {
    let said = std::env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|size| size.trim().parse().ok());
    said.filter(|size| *size > 0).unwrap_or(MOST_WAITING)
}

/// Makes the instrument that tells what became of spans. Its callback reads atomics: it cannot panic, which would end the
/// thread that exports metrics.
pub(super) fn observe(meter: &Meter, processed: Arc<Processed>) {
    let no_batches = Arc::strong_count(&processed) == 1;
    if no_batches {
        return;
    }
    meter
        .u64_observable_counter(names::OTEL_SDK_PROCESSOR_SPAN_PROCESSED)
        .with_unit("{span}")
        .with_callback(move |observer| {
            let outcomes = [
                (&processed.exported, None),
                (&processed.queue_full, Some("queue_full")),
                (&processed.export_failed, Some("export_failed")),
            ];
            for (count, error_type) in outcomes {
                let error_type = error_type.map(|name| KeyValue::new(names::ERROR_TYPE, name));
                observer.observe(count.load(Ordering::Relaxed), error_type.as_slice());
            }
        })
        .build();
}

impl Door {
    /// Whether a span may come in; if not, it is counted as dropped.
    fn enter(&self) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let dropped = self.processed.queue_full.fetch_add(1, Ordering::Relaxed) + 1;
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let from = self.log_from.load(Ordering::Relaxed);
        let next = now.saturating_add(u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX));
        if now >= from && self.log_from.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            log::spans_dropped(dropped);
        }
        false
    }

    fn leave(&self, count: usize, result: &OTelSdkResult) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let counter = if result.is_ok() { &self.processed.exported } else { &self.processed.export_failed };
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl SpanProcessor for Batches {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // The SDK drops those in silence.
        if span.span_context.is_sampled() && self.door.enter() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.door.closed.store(true, Ordering::Relaxed);
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("most", &self.door.most).finish_non_exhaustive()
    }
}

/// An exporter that tells the door what has left.
struct Leaving<E> {
    exporter: Reporting<E>,
    door: Arc<Door>,
}

impl<E: SpanExporter> SpanExporter for Leaving<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.door.leave(count, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E> fmt::Debug for Leaving<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaving")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::telemetry::otel::init::env::Signal;
    use crate::telemetry::otel::tree::tests::span;

    /// Does with each batch what the test says, once the test lets it.
    #[derive(Clone)]
    struct Exporter {
        act: fn() -> OTelSdkResult,
        open: Arc<(Mutex<bool>, Condvar)>,
    }

    impl fmt::Debug for Exporter {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Exporter")
        }
    }

    impl SpanExporter for Exporter {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            let open = self.open.0.lock().unwrap();
            drop(self.open.1.wait_while(open, |open| !*open).unwrap());
            (self.act)()
        }
    }

    /// Ends so many spans before anything can be exported; exported, dropped and failed afterwards.
    fn counts(ended: u64, act: fn() -> OTelSdkResult) -> (u64, u64, u64) {
        let exporter = Exporter { act, open: Arc::default() };
        let processed = Arc::default();
        let batches = Batches::new(Reporting::new(exporter.clone(), Signal::Traces), 1000, &processed);
        for id in 0..ended {
            batches.on_end(span(1, id + 1, 0, "a", 0, 1));
        }
        *exporter.open.0.lock().unwrap() = true;
        exporter.open.1.notify_all();
        let _ = batches.force_flush();
        let _ = batches.shutdown_with_timeout(Duration::from_secs(5));
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&processed.exported), read(&processed.queue_full), read(&processed.export_failed))
    }

    #[test]
    fn every_span_is_counted_once_whatever_becomes_of_it() {
        assert_eq!(counts(900, || Ok(())), (900, 0, 0));
        assert_eq!(counts(2500, || Ok(())), (1000, 1500, 0));
        assert_eq!(counts(2500, || Err(OTelSdkError::InternalFailure("refused".into()))), (0, 1500, 1000));
        assert_eq!(counts(2500, || panic!("an exporter's own")), (0, 1500, 1000));
    }
}
