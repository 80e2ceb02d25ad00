//! How far projections are, as those who wait for them see it.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::stopped::ProjectionStopped;
use crate::store::Position;
use crate::timer::until;

/// How long is waited unless told otherwise.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// How far a part of a projection is.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// `None` until it is set up.
    pub(super) checkpoint: Option<Position>,
    /// Why it no longer runs.
    pub(super) ended: Option<ProjectionStopped>,
}

impl Standing {
    pub(super) fn reached(&self) -> Position {
        self.checkpoint.unwrap_or_default()
    }

    fn has(&self, position: Position) -> bool {
        self.checkpoint >= Some(position)
    }
}

/// How far running projections, relays or process managers are: to wait for them where the
/// [`Projections`](super::Projections) themselves, which stop when dropped, are held elsewhere, such as in the handlers
/// of a web server.
///
/// Cloning is cheap. It keeps nothing running: once they are shut down, waiting ends with
/// [`ProjectionStopped::ShutDown`], except for what was reached before.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced;
/// # struct Orders;
/// # #[projection]
/// # impl Orders { fn placed(&self, _: &Recorded<OrderPlaced>) {} }
/// # struct Report;
/// # #[projection]
/// # impl Report { fn placed(&self, _: &Recorded<OrderPlaced>) {} }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let store = MemoryStore::new();
/// let projections = ProjectionRunner::new(store).projection(Orders).projection(Report).spawn();
/// // A page of orders does not wait for the report.
/// let orders = projections.progress().of("Orders").expect("the runner has it");
/// # let position = eventsource_runtime::store::Position::START;
/// orders.wait_for(position).await?;
/// # projections.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    watched: Arc<[Watched]>,
}

/// One projection.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) name: &'static str,
    pub(super) parts: Vec<watch::Receiver<Standing>>,
}

impl Progress {
    pub(super) fn new(watched: impl IntoIterator<Item = Watched>) -> Self {
        Self { watched: watched.into_iter().collect() }
    }

    pub(super) fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// The progress of one projection alone, by its name: whoever waits for it is neither held up nor failed by the
    /// others. `None` if there is no such projection.
    #[must_use]
    pub fn of(&self, projection: &str) -> Option<Self> {
        // More than one if the runner has refused another of the name.
        let of = Self::new(self.watched.iter().filter(|watched| watched.name == projection).cloned());
        (!of.watched.is_empty()).then_some(of)
    }

    /// Waits until each is set up and done with all events up to a position, at most 30 seconds. Dropping the future
    /// changes nothing.
    ///
    /// An event that its policy skipped or set aside, and one that is parked behind such a one, is done with and was not
    /// applied, as [`Projections::wait_for`](super::Projections::wait_for) says.
    ///
    /// # Errors
    /// One stopped before it got there, or the deadline passed.
    pub async fn wait_for(&self, position: Position) -> Result<(), ProjectionStopped> {
        self.wait_for_within(position, DEADLINE).await
    }

    /// As [`Progress::wait_for`], at most `deadline`.
    ///
    /// # Errors
    /// One stopped before it got there, or the deadline passed.
    pub async fn wait_for_within(&self, position: Position, deadline: Duration) -> Result<(), ProjectionStopped> {
        let mut parts: Vec<_> =
            self.parts().map(|(watched, part)| (watched, Box::pin(watched.arrives(part, position)))).collect();
        // All at once: a stopped one is reported without waiting for a slow one.
        let arrived = poll_fn(|task| {
            let mut stopped = Ok(());
            parts.retain_mut(|(_, arrives)| match arrives.as_mut().poll(task) {
                Poll::Ready(Err(error)) => {
                    stopped = Err(error);
                    false
                }
                Poll::Ready(Ok(())) => false,
                Poll::Pending => true,
            });
            if stopped.is_err() || parts.is_empty() { Poll::Ready(stopped) } else { Poll::Pending }
        });
        if let Ok(arrived) = tokio::time::timeout_at(until(deadline), arrived).await {
            return arrived;
        }
        parts.first().map_or(Ok(()), |(watched, _)| {
            let (projection, checkpoint) = (watched.name, watched.checkpoint());
            Err(ProjectionStopped::Late { projection, checkpoint, wanted: position })
        })
    }

    /// The last position up to which every part of a projection is done; `None` if there is no such projection.
    #[must_use]
    pub fn checkpoint(&self, projection: &str) -> Option<Position> {
        let watched = self.watched.iter().find(|watched| watched.name == projection)?;
        Some(watched.checkpoint())
    }

    /// Waits until one has stopped by itself, or has been shut down, and returns why. Dropping the future changes
    /// nothing.
    pub async fn stopped(&self) -> ProjectionStopped {
        let ended = |mut part: watch::Receiver<Standing>| {
            // It is an error if the task is gone, as when the runtime shuts down.
            async move { drop(part.wait_for(|standing| standing.ended.is_some()).await) }
        };
        let mut parts: Vec<_> = self.parts().map(|(watched, part)| (watched, Box::pin(ended(part)))).collect();
        let stopped = poll_fn(|task| {
            let mut stopped = parts
                .iter_mut()
                .filter_map(|(watched, ended)| ended.as_mut().poll(task).is_ready().then_some(*watched));
            stopped.next().map_or(Poll::Pending, Poll::Ready)
        });
        let watched = stopped.await;
        watched.failure().err().unwrap_or_else(|| watched.shut_down(watched.checkpoint()))
    }

    fn parts(&self) -> impl Iterator<Item = (&Watched, watch::Receiver<Standing>)> {
        self.watched.iter().flat_map(|watched| watched.parts.iter().map(move |part| (watched, part.clone())))
    }
}

impl Watched {
    /// Waits until a part reaches a position. An error if it ends before that, or its task is gone, as when the runtime
    /// shuts down.
    async fn arrives(&self, mut part: watch::Receiver<Standing>, position: Position) -> Result<(), ProjectionStopped> {
        let ended = part.wait_for(|standing| standing.has(position) || standing.ended.is_some()).await;
        if ended.is_ok_and(|standing| standing.has(position)) {
            return Ok(());
        }
        self.failure()?;
        let checkpoint = part.borrow().reached();
        Err(self.shut_down(checkpoint))
    }

    /// The checkpoint of the part that is furthest behind.
    pub(super) fn checkpoint(&self) -> Position {
        self.parts.iter().map(|part| part.borrow().reached()).min().unwrap_or_default()
    }

    /// The failure of the first part that has failed.
    pub(super) fn failure(&self) -> Result<(), ProjectionStopped> {
        let ended = self.parts.iter().filter_map(|part| part.borrow().ended.clone());
        let mut failed = ended.filter(|ended| matches!(ended, ProjectionStopped::Failed { .. }));
        failed.next().map_or(Ok(()), Err)
    }

    fn shut_down(&self, checkpoint: Position) -> ProjectionStopped {
        ProjectionStopped::ShutDown { projection: self.name, checkpoint }
    }
}
