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

/// Runs all flushes, or shutdowns, concurrently.
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
