//! Flushes of one exporter, or of all metrics, one at a time: an exporter that hangs keeps one thread, however often it
//! is flushed. A shutdown is one that is asked for once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::env::Signal;
use super::flush::verdict;
use crate::sync::Mutex;
use crate::telemetry::TelemetryError;

/// What is done to flush.
type Run = Box<dyn Fn() -> OTelSdkResult + Send + Sync>;

/// Whoever asks while one runs gets the next one, which all who asked meanwhile share: the running one may have begun
/// before what they want exported had ended.
pub(super) struct Flushes {
    signal: Signal,
    run: Run,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// How many have begun, and how many of them have ended.
    begun: u64,
    ended: u64,
    /// How many must have begun to satisfy all callers.
    wanted: u64,
    running: bool,
    /// Why the last one failed, if it did, and when.
    failure: Option<(Arc<OTelSdkError>, Instant)>,
}

/// A flush that was asked for.
pub(super) struct Asked {
    flushes: Arc<Flushes>,
    number: u64,
}

impl Flushes {
    pub(super) fn new(signal: Signal, run: impl Fn() -> OTelSdkResult + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { signal, run: Box::new(run), state: Mutex::default(), ended: Condvar::new() })
    }

    pub(super) fn are_of(&self, signal: Signal) -> bool {
        self.signal == signal
    }

    pub(super) fn ask(self: &Arc<Self>) -> Result<Asked, TelemetryError> {
        let mut state = self.state.lock();
        let number = state.begun + 1;
        state.wanted = number;
        if !state.running {
            let flushes = Arc::clone(self);
            thread::Builder::new()
                .name(format!("eventsource-flush-{}", self.signal.name()))
                .spawn(move || flushes.run())
                .map_err(|source| TelemetryError::Thread { source })?;
            state.running = true;
        }
        Ok(Asked { flushes: Arc::clone(self), number })
    }

    fn run(&self) {
        let mut state = self.state.lock();
        while state.begun < state.wanted {
            state.begun += 1;
            drop(state);
            // The thread must report its end, whatever the exporter does.
            let result = catch_unwind(AssertUnwindSafe(&self.run));
            let panicked = || Err(OTelSdkError::InternalFailure("an exporter panicked".to_owned()));
            let result = result.unwrap_or_else(|_| panicked());
            state = self.state.lock();
            state.ended = state.begun;
            state.failure = result.err().map(|error| (Arc::new(error), Instant::now()));
            self.ended.notify_all();
        }
        state.running = false;
    }
}

impl Asked {
    /// Waits for its end, or for so long.
    pub(super) fn linger(&self, most: Duration) -> MutexGuard<'_, State> {
        let waits = |state: &mut State| state.ended < self.number;
        let waited = self.flushes.ended.wait_timeout_while(self.flushes.state.lock(), most, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Its result, or a later one's. One that fails after the deadline has missed it, whatever its processor reports.
    pub(super) fn wait(self, left: Duration, deadline: Duration) -> Result<(), TelemetryError> {
        let timed_out = || TelemetryError::TimedOut { after: deadline };
        let asked = Instant::now();
        let state = self.linger(left);
        if state.ended < self.number {
            return Err(timed_out());
        }
        match &state.failure {
            None => Ok(()),
            Some((error, at)) => verdict(self.flushes.signal, Arc::clone(error)).map_err(|error| {
                if at.checked_duration_since(asked).is_some_and(|after| after >= left) { timed_out() } else { error }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn an_exporter_that_hangs_is_asked_once_and_once_more_for_all_who_waited() {
        let calls = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel::<()>();
        let (counted, released) = (Arc::clone(&calls), Mutex::new(released));
        let flushes = Flushes::new(Signal::Metrics, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = released.lock().recv();
            Ok(())
        });
        for _ in 0..100 {
            let result = flushes.ask().unwrap().wait(Duration::from_millis(1), LONG);
            assert!(matches!(result, Err(TelemetryError::TimedOut { .. })), "{result:?}");
        }
        assert!(calls.load(Ordering::SeqCst) <= 1);
        let (one, other) = (flushes.ask().unwrap(), flushes.ask().unwrap());
        drop(release);
        one.wait(LONG, LONG).and_then(|()| other.wait(LONG, LONG)).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_failure_or_a_panic_is_told_and_the_next_one_works() {
        let calls = AtomicUsize::new(0);
        let flushes = Flushes::new(Signal::Logs, move || match calls.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("as it must"),
            1 => Err(OTelSdkError::InternalFailure("not yet".into())),
            _ => Ok(()),
        });
        let flush = || flushes.ask().unwrap().wait(LONG, LONG);
        for _ in 0..2 {
            let result = flush();
            assert!(matches!(result, Err(TelemetryError::NotExported { signal: "logs", .. })), "{result:?}");
        }
        flush().unwrap();
    }
}
