//! Tasks that go on in the trace of whoever spawned them.

use std::future::Future;

use tokio::task::JoinHandle;

use super::Scope;

/// Like `tokio::spawn`, within the current span: spans of the task hang on it, though it may have ended by then.
///
/// A plain `tokio::spawn` begins outside of every span, since a task can outlive its spawner; what becomes of a message long
/// after it was sent is better told by a link. For other spawners, threads and pools take [`Scope::current`] along.
///
/// ```
/// use eventsource_runtime::telemetry::{span, spawn_traced};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// let outer = span("import").run(async { spawn_traced(span("import.file").run(async { 3 })).await });
/// assert_eq!(outer.await?, 3);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// As `tokio::spawn`: outside of a runtime.
pub fn spawn_traced<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Scope::current().run(future))
}
