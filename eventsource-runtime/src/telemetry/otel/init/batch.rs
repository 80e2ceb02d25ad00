//! Exports spans and log records in batches, on threads of their own: what does not fit into the queue is dropped, and
//! every outcome is counted.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::contained::started;
use super::ignored::Ignored;
use super::losses::Losses;
use super::numbers::{milliseconds, most_waiting, size};
use super::reporting::Reporting;
use crate::sync::Mutex;
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::processed::Processed;

/// How many items are exported at once by default, as in OpenTelemetry.
pub(super) const BATCH: usize = 512;
/// How long spans wait for a batch by default, as in OpenTelemetry.
const DELAY: Duration = Duration::from_secs(5);
/// After how many failed exports in a row nothing is admitted for a while. What would come in is lost anyway; this way
/// it costs the least, and a failing receiver is not called without end.
const FAILURES: u32 = 3;
/// For how long, in milliseconds: at first, twice as long after each further failure, up to the longest. That is the
/// most that is lost once a receiver works again.
const REST: u64 = 100;
const LONGEST_REST: u64 = 1600;
/// After how many milliseconds with a full queue and no finished export the queue is taken to stay full.
const STUCK: u64 = 1000;

/// A batch processor of OpenTelemetry's, behind an admission that lets in no more than it can hold.
pub(super) struct Batches<P> {
    pub(super) processor: P,
    pub(super) admission: Arc<Admission>,
}

/// Counts the items that come into a queue and leave it, and turns away those that would be lost.
#[derive(Debug)]
pub(in crate::telemetry::otel) struct Admission {
    /// Items in the queue, and those being exported.
    waiting: AtomicUsize,
    most: usize,
    processed: Arc<Processed>,
    losses: Arc<Losses>,
    closed: AtomicBool,
    /// How many exports have failed since the last success.
    failures: AtomicU32,
    /// How many have failed in total, and why the last one did.
    failed: Mutex<(u64, String)>,
    /// Until when nothing is admitted, by the clock of losses.
    opens: AtomicU64,
    /// When the first item found no room since the last export ended, by the same clock; 0 if there was room.
    full_since: AtomicU64,
}

impl Batches<BatchSpanProcessor> {
    pub(super) fn new<E>(
        exporter: Reporting<E>,
        losses: &Arc<Losses>,
        ignored: &Ignored,
    ) -> Result<Self, TelemetryError>
    where
        E: SpanExporter + 'static,
    {
        let most = most_waiting("OTEL_BSP_MAX_QUEUE_SIZE", ignored);
        Self::of(exporter, Admission::new(most, &losses.spans, losses), ignored)
    }

    fn of<E>(exporter: Reporting<E>, admission: Arc<Admission>, ignored: &Ignored) -> Result<Self, TelemetryError>
    where
        E: SpanExporter + 'static,
    {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(admission.most)
            .with_max_export_batch_size(size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH, ignored))
            .with_scheduled_delay(milliseconds("OTEL_BSP_SCHEDULE_DELAY", DELAY, ignored))
            .build();
        let builder = BatchSpanProcessor::builder(exporter.behind(&admission)).with_batch_config(config);
        Ok(Self { processor: started(|| builder.build())?, admission })
    }
}

impl Admission {
    pub(super) fn new(most: usize, processed: &Arc<Processed>, losses: &Arc<Losses>) -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicUsize::new(0),
            most,
            processed: Arc::clone(processed),
            losses: Arc::clone(losses),
            closed: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            failed: Mutex::default(),
            opens: AtomicU64::new(0),
            full_since: AtomicU64::new(0),
        })
    }

    /// Admits nothing from now on.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether an item may come in; if not, it is counted as dropped.
    pub(super) fn enter(&self) -> bool {
        if self.closed.load(Ordering::Relaxed) || self.is_lost() {
            return false;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let now = Instant::now();
        if self.full_since.load(Ordering::Relaxed) == 0 {
            self.full_since.store(self.losses.millis(now).max(1), Ordering::Relaxed);
        }
        self.count_dropped(now);
        false
    }

    /// Whether an item that begins now would not be admitted: the receiver is away, or an export hangs with a full
    /// queue. It then counts as dropped, and need not be created.
    pub(super) fn turns_away(&self) -> bool {
        self.is_lost() || self.is_stuck()
    }

    /// Whether the receiver is left alone; an item then counts as lost.
    fn is_lost(&self) -> bool {
        let opens = self.opens.load(Ordering::Relaxed);
        let rests = opens > 0 && self.now() < opens;
        if rests {
            self.processed.export_failed.fetch_add(1, Ordering::Relaxed);
        }
        rests
    }

    /// Whether the queue is full and stays so: the last export failed, or none has ended for long. Then the same.
    fn is_stuck(&self) -> bool {
        let since = self.full_since.load(Ordering::Relaxed);
        if since == 0 || self.waiting.load(Ordering::Relaxed) < self.most {
            return false;
        }
        let now = Instant::now();
        let stays = self.failures.load(Ordering::Relaxed) > 0 || self.losses.millis(now).saturating_sub(since) >= STUCK;
        if stays {
            self.count_dropped(now);
        }
        stays
    }

    fn count_dropped(&self, now: Instant) {
        self.processed.queue_full.fetch_add(1, Ordering::Relaxed);
        self.losses.dropped(now);
    }

    /// So many items have been exported, or not; of those that were, the receiver did not take so many.
    pub(super) fn leave(&self, count: usize, rejected: u64, result: &OTelSdkResult) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        self.full_since.store(0, Ordering::Relaxed);
        let Err(error) = result else {
            self.failures.store(0, Ordering::Relaxed);
            self.opens.store(0, Ordering::Relaxed);
            let rejected = rejected.min(count as u64);
            self.processed.exported.fetch_add(count as u64 - rejected, Ordering::Relaxed);
            self.processed.export_failed.fetch_add(rejected, Ordering::Relaxed);
            return;
        };
        if let Some(rest) = rest_after(self.failures.fetch_add(1, Ordering::Relaxed) + 1) {
            self.opens.store(self.now() + rest, Ordering::Relaxed);
        }
        self.processed.export_failed.fetch_add(count as u64, Ordering::Relaxed);
        let why = if let OTelSdkError::InternalFailure(why) = error { why.clone() } else { error.to_string() };
        let mut failed = self.failed.lock();
        *failed = (failed.0 + 1, why);
    }

    /// The result of a flush or a shutdown. The SDK reports only its last batch, and none at shutdown.
    pub(super) fn answer(&self, ask: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
        let before = self.failed.lock().0;
        ask()?;
        let (failed, why) = &*self.failed.lock();
        match failed - before {
            0 => Ok(()),
            1 => Err(OTelSdkError::InternalFailure(why.clone())),
            failed => Err(OTelSdkError::InternalFailure(format!("{failed} exports failed, the last one: {why}"))),
        }
    }

    fn now(&self) -> u64 {
        self.losses.millis(Instant::now())
    }
}

/// For how long nothing is admitted after so many failures in a row, if it does.
fn rest_after(failures: u32) -> Option<u64> {
    let further = failures.checked_sub(FAILURES)?;
    Some((REST << further.min(16)).min(LONGEST_REST))
}

impl SpanProcessor for Batches<BatchSpanProcessor> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // The SDK drops those silently.
        if span.span_context.is_sampled() && self.admission.enter() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.admission.answer(|| self.processor.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.admission.close();
        self.admission.answer(|| self.processor.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl<P> fmt::Debug for Batches<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("most", &self.admission.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::thread;

    use super::super::env::Signal;
    use super::*;
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

    /// Ends so many spans before anything can be exported, and as many after the end, which nobody counts any more;
    /// exported, dropped and failed afterwards.
    fn counts(ended: u64, act: fn() -> OTelSdkResult) -> (u64, u64, u64) {
        let exporter = Exporter { act, open: Arc::default() };
        let losses = Arc::<Losses>::default();
        let admission = Admission::new(1000, &losses.spans, &losses);
        let reporting = Reporting::new(exporter.clone(), Signal::Traces, &losses);
        let batches = Batches::of(reporting, admission, &Ignored::default()).unwrap();
        let end = || (0..ended).for_each(|id| batches.on_end(span(1, id + 1, 0, "a", 0, 1)));
        end();
        *exporter.open.0.lock().unwrap() = true;
        exporter.open.1.notify_all();
        let _ = batches.force_flush();
        let _ = batches.shutdown_with_timeout(Duration::from_secs(5));
        end();
        let spans = &losses.spans;
        let all = [&spans.exported, &spans.queue_full, &spans.export_failed];
        all.map(|count| count.load(Ordering::Relaxed)).into()
    }

    #[test]
    fn a_receiver_that_fails_again_and_again_is_left_alone_until_it_has_rested() {
        let losses = Arc::<Losses>::default();
        let (admission, processed) = (Admission::new(1000, &losses.spans, &losses), &losses.spans);
        let failed = Err(OTelSdkError::InternalFailure("refused".into()));
        let export = |result: &OTelSdkResult| {
            let entered = admission.enter();
            if entered {
                admission.leave(1, 0, result);
            }
            entered
        };
        for result in [&failed, &failed, &Ok(()), &failed, &failed, &failed] {
            assert!(export(result), "it takes three in a row");
        }
        while !export(&failed) {
            thread::yield_now();
        }
        let lost = processed.export_failed.load(Ordering::Relaxed);
        assert!(losses.millis(Instant::now()) >= REST && lost > 6, "{lost}");
        while !export(&Ok(())) {
            thread::yield_now();
        }
        assert!((0..1000).all(|_| export(&Ok(()))), "it works again");
        assert_eq!(processed.queue_full.load(Ordering::Relaxed), 0);
    }

    /// The SDK answered for the last batch, and a shutdown that had lost the others was one that had gone well.
    #[test]
    fn a_flush_answers_for_all_of_its_exports() {
        let losses = Arc::<Losses>::default();
        let admission = Admission::new(1000, &losses.spans, &losses);
        let refused = || Err(OTelSdkError::InternalFailure("refused".into()));
        let flushed = |exports: &[OTelSdkResult], said: OTelSdkResult| {
            let ask = || {
                for result in exports {
                    admission.leave(0, 0, result);
                }
                said
            };
            admission.answer(ask).map_err(|error| error.to_string())
        };
        let twice = flushed(&[refused(), refused(), Ok(())], Ok(())).unwrap_err();
        assert!(twice.ends_with("2 exports failed, the last one: refused"), "{twice}");
        assert!(flushed(&[refused(), Ok(())], Ok(())).unwrap_err().ends_with(": refused"));
        assert_eq!(flushed(&[Ok(()), Ok(())], Ok(())), Ok(()), "those before are over");
        assert!(flushed(&[Ok(())], refused()).unwrap_err().contains("refused"));
    }

    #[test]
    fn the_longer_a_receiver_is_away_the_longer_it_is_left_alone() {
        let rests: Vec<_> = (1..=8).filter_map(rest_after).collect();
        assert_eq!(rests, [100, 200, 400, 800, 1600, 1600]);
        assert_eq!(rest_after(u32::MAX), Some(1600));
    }

    #[test]
    fn what_begins_while_it_would_be_lost_is_turned_away_and_counted() {
        let mut losses = Losses::default();
        losses.began = losses.began.checked_sub(10 * DELAY).unwrap();
        let losses = Arc::new(losses);
        let (admission, processed) = (Admission::new(2, &losses.spans, &losses), &losses.spans);
        let counts = || [&processed.export_failed, &processed.queue_full].map(|count| count.load(Ordering::Relaxed));

        assert!(admission.enter() && admission.enter() && !admission.turns_away(), "nothing was without room");
        assert!(!admission.enter() && !admission.turns_away(), "it may be a burst");
        admission.full_since.store(1, Ordering::Relaxed);
        assert!(admission.turns_away(), "no export has ended for long");
        admission.leave(1, 0, &Ok(()));
        assert!(!admission.turns_away(), "one has ended just now");
        assert_eq!(counts(), [0, 2]);

        admission.leave(1, 0, &Err(OTelSdkError::InternalFailure("refused".into())));
        assert!(admission.enter() && admission.enter() && !admission.turns_away(), "there is room");
        assert!(!admission.enter() && admission.turns_away(), "the last one has failed");
        admission.leave(1, 0, &Ok(()));
        assert!(admission.enter() && !admission.enter() && !admission.turns_away(), "the last one has not");
        assert_eq!(counts(), [1, 5]);

        admission.opens.store(admission.now() + 60_000, Ordering::Relaxed);
        assert!(admission.turns_away());
        assert_eq!(counts(), [2, 5]);
    }

    #[test]
    fn every_span_is_counted_once_whatever_becomes_of_it() {
        assert_eq!(counts(900, || Ok(())), (900, 0, 0));
        assert_eq!(counts(2500, || Ok(())), (1000, 1500, 0));
        assert_eq!(counts(2500, || Err(OTelSdkError::InternalFailure("refused".into()))), (0, 1500, 1000));
        assert_eq!(counts(2500, || panic!("an exporter's own")), (0, 1500, 1000));
    }
}
