//! Flushing within a deadline, from wherever it is called.
//!
//! OpenTelemetry's flush and shutdown block, some for as long as an exporter hangs. So each exporter is flushed on a
//! thread of its own, and a further thread keeps the deadline: no timer of a runtime is needed, and none is blocked. A
//! flush that misses the deadline is abandoned.
//!
//! The flushes of one exporter, or of all metrics, come one at a time: one that hangs keeps one thread, however often
//! it is flushed. A shutdown is a flush that is asked for once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{process, thread};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use super::env::Signal;
use super::losses::Losses;
use crate::sync::Mutex;
use crate::telemetry::TelemetryError;

/// Where a set-up's spans, metrics and log records leave it: what is flushed and shut down.
pub(super) struct Outlets {
    /// How long all of them may take.
    pub(super) timeout: Duration,
    /// The process whose threads export.
    process: u32,
    pub(super) losses: Arc<Losses>,
    flushes: Vec<Arc<Flushes>>,
    pub(super) shutdowns: Vec<Arc<Flushes>>,
}

impl Outlets {
    pub(super) fn new(timeout: Duration, losses: &Arc<Losses>) -> Self {
        Self { timeout, process: process::id(), losses: Arc::clone(losses), flushes: Vec::new(), shutdowns: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        signal: Signal,
        flush: impl Fn() -> OTelSdkResult + Send + Sync + 'static,
        shutdown: impl Fn() -> OTelSdkResult + Send + Sync + 'static,
    ) {
        self.flushes.push(Flushes::new(signal, flush));
        self.shutdowns.push(Flushes::new(signal, shutdown));
    }

    pub(super) fn flush(&self) -> Result<(), TelemetryError> {
        self.all(&self.flushes, Instant::now())
    }

    /// Tells first what was lost, and not told: the line is a log record that may be exported as well.
    pub(super) fn shut_down(&self) -> Result<(), TelemetryError> {
        let started = Instant::now();
        self.tell_losses();
        self.all(&self.shutdowns, started)
    }

    /// Tells what was lost, and not told; it takes no more than a part of the time.
    pub(super) fn tell_losses(&self) {
        if !self.are_of_parent() {
            self.losses.tell_rest(self.timeout / 4);
        }
    }

    fn all(&self, flushes: &[Arc<Flushes>], started: Instant) -> Result<(), TelemetryError> {
        if self.are_of_parent() { Err(TelemetryError::Forked) } else { all(flushes, started, self.timeout) }
    }

    /// Whether this process was forked since: it has a copy of what waits for export, which is its parent's, and no
    /// thread that would answer.
    pub(super) fn are_of_parent(&self) -> bool {
        process::id() != self.process
    }
}

/// Runs all flushes, or shutdowns, concurrently, but for those of metrics, which tell what becomes of the others'
/// items: they wait for the others, though no longer than until half of the time is over.
fn all(flushes: &[Arc<Flushes>], started: Instant, deadline: Duration) -> Result<(), TelemetryError> {
    let left = |of: Duration| of.saturating_sub(started.elapsed());
    let (metrics, others): (Vec<_>, Vec<_>) = flushes.iter().partition(|flushes| flushes.are_of(Signal::Metrics));
    let mut asked: Vec<_> = others.into_iter().map(Flushes::ask).collect();
    for one in asked.iter().flatten() {
        drop(one.linger(left(deadline / 2)));
    }
    asked.extend(metrics.into_iter().map(Flushes::ask));
    let mut result = Ok(());
    for one in asked {
        result = result.and(one.and_then(|one| one.wait(left(deadline), deadline)));
    }
    result
}

/// Does blocking work within a deadline, without blocking the caller's thread. It continues if the future is dropped.
pub(super) async fn waiting(
    deadline: Duration,
    work: impl FnOnce() -> Result<(), TelemetryError> + Send + 'static,
) -> Result<(), TelemetryError> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("eventsource-flush".into())
        // The waiter may have given up.
        .spawn(move || drop(tell.send(work())))
        .map_err(|source| TelemetryError::Thread { source })?;
    told.await.unwrap_or(Err(TelemetryError::TimedOut { after: deadline }))
}

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
struct State {
    /// How many have begun, and how many of them have ended.
    begun: u64,
    ended: u64,
    /// How many must have begun to satisfy all callers.
    wanted: u64,
    running: bool,
    /// Why the last one failed, if it did, which may be reported to several, and when.
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

    fn are_of(&self, signal: Signal) -> bool {
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
    fn linger(&self, most: Duration) -> MutexGuard<'_, State> {
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
            Some((error, _)) if matches!(**error, OTelSdkError::AlreadyShutdown) => Ok(()),
            Some((_, at)) if at.checked_duration_since(asked).is_some_and(|after| after >= left) => Err(timed_out()),
            Some((error, _)) => {
                let (signal, source) = (self.flushes.signal.name(), Arc::clone(error).into());
                Err(TelemetryError::NotExported { signal, source })
            }
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

    /// They were flushed at once, and did not tell of what the flush itself exported.
    #[test]
    fn metrics_are_flushed_after_all_else_that_ends_in_time() {
        let (note, noted) = mpsc::channel();
        let noting = |signal: Signal| {
            let note = note.clone();
            Flushes::new(signal, move || {
                let _ = note.send(signal);
                Ok(())
            })
        };
        let flushes = [Signal::Metrics, Signal::Traces, Signal::Logs].map(noting);
        for _ in 0..100 {
            all(&flushes, Instant::now(), LONG).unwrap();
            assert_eq!(noted.try_iter().last(), Some(Signal::Metrics));
        }
    }

    #[test]
    fn metrics_do_not_wait_for_what_hangs_until_it_is_too_late() {
        let ((_hold, held), (note, noted)) = (mpsc::channel::<()>(), mpsc::channel());
        let held = Mutex::new(held);
        let hanging = Flushes::new(Signal::Traces, move || {
            let _ = held.lock().recv();
            Ok(())
        });
        let metrics = Flushes::new(Signal::Metrics, move || {
            let _ = note.send(());
            Ok(())
        });
        let ended = all(&[hanging, metrics], Instant::now(), Duration::from_millis(20));
        assert!(matches!(ended, Err(TelemetryError::TimedOut { .. })), "{ended:?}");
        noted.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn all_that_hang_are_waited_for_together() {
        const DEADLINE: Duration = Duration::from_millis(100);
        let (_hold, held): (Vec<_>, Vec<_>) = (0..100).map(|_| mpsc::channel::<()>()).unzip();
        let hanging = held.into_iter().map(|held| {
            let held = Mutex::new(held);
            Flushes::new(Signal::Traces, move || {
                let _ = held.lock().recv();
                Ok(())
            })
        });
        let (hanging, begun) = (hanging.collect::<Vec<_>>(), Instant::now());
        let ended = all(&hanging, begun, DEADLINE);
        assert!(matches!(ended, Err(TelemetryError::TimedOut { .. })), "{ended:?}");
        assert!(begun.elapsed() < 50 * DEADLINE, "{:?}", begun.elapsed());
    }
}
