//! Tasks and streams that continue in the trace of whoever made them.

use std::future::Future;

use futures_core::Stream;
use tokio::task::JoinHandle;

use super::Scope;

/// Like `tokio::spawn`, within the current span: the task's spans are its children, though it may have ended by then.
///
/// A plain `tokio::spawn` begins outside of every span, since a task can outlive its spawner; what becomes of a message
/// long after it was sent is better recorded as a link. For other spawners, threads and pools, pass [`Scope::current`]
/// along.
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

/// A stream that is polled, and dropped, within the current span, wherever it is polled: in another task, or after the
/// span has ended.
///
/// A stream runs nothing by itself, so its work would otherwise belong to whoever polls it. To give it a span of its
/// own, which lasts until it is done or dropped, use [`ManualSpan::stream`](super::ManualSpan::stream), or `#[traced]`
/// on the function that returns it.
///
/// ```
/// use eventsource_runtime::telemetry::{span, stream_traced};
/// use futures_util::{StreamExt, stream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// let rows = stream::iter(1..=3).then(|row| span("import.row").run(async move { row * 2 }));
/// let rows = span("import").in_scope(|| stream_traced(rows));
/// let doubled: Vec<_> = tokio::spawn(rows.collect()).await?;
/// assert_eq!(doubled, [2, 4, 6]); // each row's span hangs on `import`
/// # Ok(())
/// # }
/// ```
pub fn stream_traced<S: Stream>(stream: S) -> impl Stream<Item = S::Item> + use<S> {
    Scope::current().stream(stream)
}
