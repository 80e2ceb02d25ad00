//! Flushing within a deadline, from wherever it is called.
//!
//! OpenTelemetry's flush and shutdown block, some for as long as an exporter hangs. So each exporter is flushed on a
//! thread of its own, and a further thread keeps the deadline: no timer of a runtime is needed, and none is blocked. A
//! job that misses the deadline is abandoned.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use super::env::Signal;
use super::flushes::Flushes;
use crate::telemetry::TelemetryError;

/// The work of one exporter, or of all metrics.
pub(super) struct Job {
    pub(super) signal: Signal,
    pub(super) run: Box<dyn FnOnce() -> OTelSdkResult + Send>,
}

/// Runs all flushes concurrently.
pub(super) fn all(flushes: &[Arc<Flushes>], deadline: Duration) -> Result<(), TelemetryError> {
    let started = Instant::now();
    let asked: Vec<_> = flushes.iter().map(Flushes::ask).collect();
    let mut result = Ok(());
    for one in asked {
        let left = deadline.saturating_sub(started.elapsed());
        result = result.and(one.and_then(|one| one.wait(left, deadline)));
    }
    result
}

/// Runs the jobs concurrently; `after` runs when they are done or given up. One that fails after the deadline has
/// missed it, whatever its processor reports.
pub(super) fn blocking(jobs: Vec<Job>, deadline: Duration, after: impl FnOnce()) -> Result<(), TelemetryError> {
    let started = Instant::now();
    let timed_out = || Err(TelemetryError::TimedOut { after: deadline });
    let result = start(jobs).and_then(|(count, done)| {
        let mut result = Ok(());
        for _ in 0..count {
            let one = done.recv_timeout(deadline.saturating_sub(started.elapsed()));
            result = result.and(match one {
                Ok((Err(TelemetryError::NotExported { .. }), at)) if at - started >= deadline => timed_out(),
                Ok((one, _)) => one,
                Err(_) => timed_out(),
            });
        }
        result
    });
    after();
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

/// What became of a job, and when.
type Done = mpsc::Receiver<(Result<(), TelemetryError>, Instant)>;

fn start(jobs: Vec<Job>) -> Result<(usize, Done), TelemetryError> {
    let (tell, done) = mpsc::channel();
    let count = jobs.len();
    for Job { signal, run } in jobs {
        let tell = tell.clone();
        let work = move || {
            let done = run().map_err(Arc::new).or_else(|error| verdict(signal, error));
            let _ = tell.send((done, Instant::now()));
        };
        thread::Builder::new()
            .name(format!("eventsource-flush-{}", signal.name()))
            .spawn(work)
            .map_err(|source| TelemetryError::Thread { source })?;
    }
    Ok((count, done))
}

/// What a failure means to the caller; it may be reported to several.
pub(super) fn verdict(signal: Signal, error: Arc<OTelSdkError>) -> Result<(), TelemetryError> {
    if matches!(*error, OTelSdkError::AlreadyShutdown) {
        return Ok(());
    }
    Err(TelemetryError::NotExported { signal: signal.name(), source: error.into() })
}
