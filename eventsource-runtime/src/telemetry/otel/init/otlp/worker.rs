//! The thread on which exporters do their I/O.
//!
//! OpenTelemetry's own threads, which call the exporters, have no runtime, and the application's runtime may be blocked
//! or gone when the last spans leave. So this thread depends on nobody and blocks nobody.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use opentelemetry::Context;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;

/// The thread, for as long as one of its exporters lives.
#[derive(Clone, Debug)]
pub(in crate::telemetry::otel::init) struct Worker {
    handle: Handle,
    /// Dropped with the last exporter, which ends the thread; nobody waits for it.
    _running: Arc<oneshot::Sender<()>>,
}

impl Worker {
    pub(super) fn start() -> io::Result<Self> {
        let (running, ended) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name("eventsource-otlp".into()).spawn(move || {
            // Made here: one that a caller in async code dropped, for want of a thread, would panic.
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(Ok(runtime.handle().clone()));
            // What the transport traces or logs here would be exported, and traced and logged again.
            let _unseen = Context::enter_telemetry_suppressed_scope();
            // An error is the signal to end.
            let _ = runtime.block_on(ended);
        })?;
        let handle = told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread of the exporters ended")))?;
        Ok(Self { handle, _running: Arc::new(running) })
    }

    /// Lets what runs on the calling thread use the worker's sockets and timers.
    pub(in crate::telemetry::otel::init) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_thread_ends_with_the_last_exporter() {
        let (worker, (held, ended)) = (Worker::start().unwrap(), mpsc::channel::<()>());
        let other = worker.clone();
        worker.handle.spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(worker);
        assert_eq!(ended.recv_timeout(Duration::from_millis(20)), Err(mpsc::RecvTimeoutError::Timeout));
        drop(other);
        assert_eq!(ended.recv_timeout(Duration::from_mins(1)), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
