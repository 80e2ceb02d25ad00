//! Flushing within a deadline, from wherever it is called.
//!
//! OpenTelemetry's flush and shutdown block, some for as long as an exporter hangs. So each exporter is flushed on a
//! thread of its own, and a further thread keeps the deadline: no timer of a runtime is needed, and none is blocked. A
//! flush that misses the deadline is abandoned.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkError;
use tokio::sync::oneshot;

use super::env::Signal;
use super::flushes::Flushes;
use crate::telemetry::TelemetryError;

/// Runs all flushes, or shutdowns, concurrently, but for those of metrics, which tell what becomes of the others'
/// items: they wait for the others, though no longer than until half of the time is over.
pub(super) fn all(flushes: &[Arc<Flushes>], deadline: Duration) -> Result<(), TelemetryError> {
    let started = Instant::now();
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

/// What a failure means to the caller; it may be reported to several.
pub(super) fn verdict(signal: Signal, error: Arc<OTelSdkError>) -> Result<(), TelemetryError> {
    if matches!(*error, OTelSdkError::AlreadyShutdown) {
        return Ok(());
    }
    Err(TelemetryError::NotExported { signal: signal.name(), source: error.into() })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::sync::Mutex;

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
            all(&flushes, Duration::from_mins(1)).unwrap();
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
        let ended = all(&[hanging, metrics], Duration::from_millis(20));
        assert!(matches!(ended, Err(TelemetryError::TimedOut { .. })), "{ended:?}");
        noted.recv_timeout(Duration::from_mins(1)).unwrap();
    }
}
