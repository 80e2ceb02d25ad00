//! Running projections, as those who started them see them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::ProjectionError;
use super::progress::{DEADLINE, Progress, Watched};
use super::stopped::ProjectionStopped;
use crate::store::Position;
use crate::telemetry::metrics;
use crate::timer::until;

/// What tells of a projection in a gauge, left by its task: the handle keeps it until the projections are shut down.
pub(super) type Told = Option<Arc<metrics::Told>>;

/// Running projections, process managers, or the parts of a relay.
///
/// Dropping this stops them as [`Projections::shutdown`] does, without waiting: each finishes or rolls back its current
/// batch.
#[derive(Debug)]
#[must_use = "dropping this stops the projections"]
pub struct Projections {
    progress: Progress,
    /// One for each that the progress is of.
    tasks: Vec<JoinHandle<Told>>,
    /// Those that come with them, such as the timers of process managers.
    beside: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Projections {
    pub(super) fn new(
        running: impl Iterator<Item = (Watched, JoinHandle<Told>)>,
        beside: Vec<JoinHandle<()>>,
        stop: watch::Sender<bool>,
    ) -> Self {
        let (watched, tasks): (Vec<_>, _) = running.unzip();
        Self { progress: Progress::new(watched), tasks, beside, stop }
    }

    /// How far they are, to be waited for elsewhere, or one without the others: [`Progress::of`].
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Waits until every projection is set up and done with all events up to a position, at most 30 seconds. To wait
    /// for one alone, use `progress().of(name)`: [`Progress::of`].
    ///
    /// Under [`OnFailure::Skip`](super::OnFailure::Skip) and [`OnFailure::DeadLetter`](super::OnFailure::DeadLetter) it
    /// is done with events that it has not applied: those that were skipped, set aside, or parked behind one of their
    /// stream. Whether an event is one of the latter is told by [`DeadLetters::of_stream`](super::DeadLetters::of_stream).
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for(&self, position: Position) -> Result<(), ProjectionStopped> {
        self.progress.wait_for(position).await
    }

    /// As [`Projections::wait_for`], at most `deadline`.
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for_within(&self, position: Position, deadline: Duration) -> Result<(), ProjectionStopped> {
        self.progress.wait_for_within(position, deadline).await
    }

    /// The last position up to which every part of a projection is done; `None` if there is no such projection.
    #[must_use]
    pub fn checkpoint(&self, projection: &str) -> Option<Position> {
        self.progress.checkpoint(projection)
    }

    /// Waits until a projection has stopped by itself, and returns why: for a program that then ends, or shuts these
    /// down and starts them again. Dropping the future changes nothing.
    pub async fn stopped(&self) -> ProjectionStopped {
        self.progress.stopped().await
    }

    /// Stops the projections and waits until each has finished or rolled back its current batch, at most 30 seconds.
    ///
    /// # Errors
    /// The first projection that had failed, or that did not stop in time and was aborted.
    pub async fn shutdown(self) -> Result<(), ProjectionStopped> {
        self.shutdown_within(DEADLINE).await
    }

    /// Stops the projections and waits until each has finished or rolled back its current batch, at most `deadline`.
    /// Then the rest are aborted: an async step ends where it waits, and the next run applies its event again; a step
    /// that does not return is left behind. A set-up that is under way gets five seconds of that, and if it fails by
    /// then, its error is returned.
    ///
    /// # Errors
    /// The first projection that had failed, or that did not stop in time and was aborted.
    pub async fn shutdown_within(mut self, deadline: Duration) -> Result<(), ProjectionStopped> {
        // Nobody listens if every projection has stopped by itself.
        let _ = self.stop.send(true);
        let until = until(deadline);
        let mut result = Ok(());
        for (watched, task) in self.progress.watched().iter().zip(&mut self.tasks) {
            result = result.and(end(watched, task, until).await);
        }
        for task in &mut self.beside {
            // At most one append is in flight; if it hangs, the next start makes it again.
            if tokio::time::timeout_at(until, &mut *task).await.is_err() {
                task.abort();
            }
        }
        result
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// Waits for the task of a projection, which was told to stop.
async fn end(watched: &Watched, task: &mut JoinHandle<Told>, until: Instant) -> Result<(), ProjectionStopped> {
    let ended = tokio::time::timeout_at(until, &mut *task).await;
    match ended {
        // The task catches panics; what is left is the drop of a store or a projection.
        Ok(Err(error)) if error.is_panic() => {
            let panicked = ProjectionError::panicked(&*error.into_panic());
            Err(ProjectionStopped::failed(watched.name, watched.checkpoint(), panicked))
        }
        Ok(_) => watched.failure(),
        Err(_) => {
            task.abort();
            Err(ProjectionStopped::Aborted { projection: watched.name, checkpoint: watched.checkpoint() })
        }
    }
}
