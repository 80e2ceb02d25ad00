//! Processors that are flushed, and shut down, independently of each other.
//!
//! OpenTelemetry's provider calls them one after the other, each for as long as it takes: behind an exporter that
//! hangs, the others would keep what they have. So each is called on a thread of its own, and the provider is told that
//! it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::env::Signal;
use super::flush::{Flushes, Outlets};

/// A timeout reported sooner counts as an answer: it may be reported each time, and the processor be asked without end.
const LEAST: Duration = Duration::from_secs(1);

/// What a provider hands spans or log records to.
pub(super) trait Processor: Send + Sync {
    fn flush(&self) -> OTelSdkResult;

    fn end(&self, timeout: Duration) -> OTelSdkResult;
}

/// A processor, as its provider has it.
#[derive(Debug)]
pub(super) struct Shared<P: ?Sized> {
    pub(super) processor: Arc<P>,
    /// Whether each is shut down apart, so that the provider must not.
    ends_apart: Arc<AtomicBool>,
}

/// The processors of one provider, as it gets them.
pub(super) fn isolated<P: ?Sized>(processors: impl Iterator<Item = Arc<P>>) -> Vec<Shared<P>> {
    let ends_apart = Arc::default();
    processors.map(|processor| Shared { processor, ends_apart: Arc::clone(&ends_apart) }).collect()
}

impl Outlets {
    /// Adds each of a provider's processors. It is shut down after the provider, so that nothing comes in any more.
    ///
    /// Whoever flushes keeps the deadline, after which nobody waits: each further question would take up room that
    /// OpenTelemetry's batch processors have for few, and that their shutdown needs.
    pub(super) fn add_each<P: Processor + ?Sized + 'static>(
        &mut self,
        signal: Signal,
        processors: Vec<Shared<P>>,
        provider: impl Fn() -> OTelSdkResult + Clone + Send + Sync + 'static,
    ) {
        let timeout = self.timeout;
        if processors.is_empty() {
            self.shutdowns.push(Flushes::new(signal, provider));
            return;
        }
        for shared in processors {
            let (processor, provider) = (Arc::clone(&shared.processor), provider.clone());
            let flush = move || patiently(timeout, Instant::now, || processor.flush());
            self.add(signal, flush, move || shared.flush_and_end(timeout, &provider));
        }
    }
}

impl<P: Processor + ?Sized> Shared<P> {
    /// At shutdown, batch processors do not report the result of their last export: hence the flush before.
    fn flush_and_end(&self, timeout: Duration, provider: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
        self.ends_apart.store(true, Ordering::Release);
        let flushed = patiently(timeout, Instant::now, || self.processor.flush());
        // All but the first to come here are told that it has already ended.
        let _ = provider();
        flushed.and(self.processor.end(timeout))
    }

    /// The provider's shutdown, unless each ends apart.
    pub(super) fn end(&self, timeout: Duration) -> OTelSdkResult {
        if self.ends_apart.load(Ordering::Acquire) { Ok(()) } else { self.processor.end(timeout) }
    }
}

impl<P: ?Sized> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self { processor: Arc::clone(&self.processor), ends_apart: Arc::clone(&self.ends_apart) }
    }
}

/// Flushes until there is an answer, or patience ends: OpenTelemetry's batch processors wait five seconds for one,
/// which cannot be configured.
fn patiently(patience: Duration, now: impl Fn() -> Instant, flush: impl Fn() -> OTelSdkResult) -> OTelSdkResult {
    let begun = now();
    loop {
        let asked = now();
        let flushed = flush();
        let ended = now();
        let waited = matches!(flushed, Err(OTelSdkError::Timeout(_))) && ended - asked >= LEAST;
        if !waited || ended - begun >= patience {
            return flushed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often a processor is asked that reports a timeout each time, after so long.
    fn asked(patience: u64, takes: Duration) -> u32 {
        let (clock, times) = (Cell::new(Instant::now()), Cell::new(0));
        let flushed = patiently(
            Duration::from_secs(patience),
            || clock.get(),
            || {
                clock.set(clock.get() + takes);
                times.set(times.get() + 1);
                Err(OTelSdkError::Timeout(takes))
            },
        );
        assert!(matches!(flushed, Err(OTelSdkError::Timeout(_))), "{flushed:?}");
        times.get()
    }

    #[test]
    fn a_flush_is_repeated_for_as_long_as_there_is_patience_and_no_answer() {
        const ROUND: Duration = Duration::from_secs(5);
        assert_eq!([asked(0, ROUND), asked(5, ROUND), asked(8, ROUND), asked(60, ROUND)], [1, 1, 2, 12]);
        assert_eq!(asked(60, Duration::ZERO), 1, "it has answered");
    }

    struct Exporter(AtomicBool);

    impl Processor for Exporter {
        fn flush(&self) -> OTelSdkResult {
            Err(OTelSdkError::InternalFailure("no route".to_owned()))
        }

        fn end(&self, _: Duration) -> OTelSdkResult {
            assert!(!self.0.swap(true, Ordering::SeqCst), "once");
            Ok(())
        }
    }

    #[test]
    fn each_is_shut_down_once_apart_or_by_the_provider() {
        for ends_apart in [true, false] {
            let processors = [(); 2].map(|()| Arc::new(Exporter(AtomicBool::new(false))));
            let apart = isolated(processors.clone().into_iter());
            let shared = apart.clone();
            let provider = move || shared.iter().try_for_each(|one| one.end(Duration::ZERO));
            if ends_apart {
                let mut outlets = Outlets::new(Duration::ZERO, &Arc::default());
                outlets.add_each(Signal::Traces, apart, provider);
                for shutdown in outlets.shutdowns {
                    let ended = shutdown.ask().unwrap().wait(Duration::from_mins(1), Duration::ZERO);
                    assert!(ended.is_err(), "what the flush came to");
                }
            } else {
                provider().unwrap();
            }
            assert!(processors.iter().all(|processor| processor.0.load(Ordering::SeqCst)));
        }
    }
}
