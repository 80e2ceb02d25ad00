//! Flushing within a deadline, from wherever it is called.
//!
//! OpenTelemetry's flush and shutdown block, some of them for as long as an exporter hangs. So each signal flushes on a
//! thread of its own, and a further thread keeps the deadline: no timer of a runtime is needed, and none is blocked. A
//! job that misses the deadline is left to itself.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::oneshot;

use super::env::Signal;
use crate::telemetry::TelemetryError;

/// What one signal has to do.
pub(super) struct Job {
    pub(super) signal: Signal,
    pub(super) run: Box<dyn FnOnce() -> OTelSdkResult + Send>,
}

/// Runs the jobs beside each other; `after` runs when they are done or given up.
pub(super) fn blocking(jobs: Vec<Job>, deadline: Duration, after: impl FnOnce()) -> Result<(), TelemetryError> {
    let started = Instant::now();
    let result = start(jobs).and_then(|(count, done)| {
        let mut result = Ok(());
        for _ in 0..count {
            let left = deadline.saturating_sub(started.elapsed());
            let one = done.recv_timeout(left).unwrap_or(Err(TelemetryError::TimedOut { after: deadline }));
            result = result.and(one);
        }
        result
    });
    after();
    result
}

/// Like `blocking`, without blocking the caller's thread. It goes on when the future is dropped.
pub(super) async fn waiting(
    jobs: Vec<Job>,
    deadline: Duration,
    after: impl FnOnce() + Send + 'static,
) -> Result<(), TelemetryError> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new()
        .name("eventsource-flush".into())
        // Whoever waited may have given up.
        .spawn(move || drop(tell.send(blocking(jobs, deadline, after))))
        .map_err(|source| TelemetryError::Thread { source })?;
    told.await.unwrap_or(Err(TelemetryError::TimedOut { after: deadline }))
}

type Done = mpsc::Receiver<Result<(), TelemetryError>>;

fn start(jobs: Vec<Job>) -> Result<(usize, Done), TelemetryError> {
    let (tell, done) = mpsc::channel();
    let count = jobs.len();
    for Job { signal, run } in jobs {
        let tell = tell.clone();
        thread::Builder::new()
            .name(format!("eventsource-flush-{}", signal.name()))
            .spawn(move || drop(tell.send(verdict(signal, run()))))
            .map_err(|source| TelemetryError::Thread { source })?;
    }
    Ok((count, done))
}

fn verdict(signal: Signal, result: OTelSdkResult) -> Result<(), TelemetryError> {
    match result {
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => Ok(()),
        Err(source) => Err(TelemetryError::NotExported { signal: signal.name(), source: source.into() }),
    }
}
