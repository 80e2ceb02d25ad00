//! Running projections, as those who started them see them.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::error::{ProjectionError, ProjectionStopped};
use crate::store::Position;

/// How long `wait_for` and `shutdown` wait.
const DEADLINE: Duration = Duration::from_secs(30);
/// What an unrepresentable deadline means.
const FOR_EVER: Duration = Duration::from_hours(365 * 24);

/// How far a projection is, as others see it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// `None` until it is set up.
    pub(super) checkpoint: Option<Position>,
    pub(super) stage: Stage,
}

impl Progress {
    pub(super) fn reached(&self) -> Position {
        self.checkpoint.unwrap_or_default()
    }

    fn has(&self, position: Position) -> bool {
        self.checkpoint >= Some(position)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) enum Stage {
    #[default]
    Running,
    ShutDown,
    Failed(Arc<dyn Error + Send + Sync + 'static>),
}

impl Stage {
    pub(super) fn failed(error: ProjectionError) -> Self {
        Self::Failed(error.into_cause().into())
    }

    fn has_ended(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

/// Running projections.
///
/// Dropping this stops them as [`Projections::shutdown`] does, without waiting: each finishes or rolls back its current
/// batch.
#[derive(Debug)]
#[must_use = "dropping this stops the projections"]
pub struct Projections {
    pub(super) running: Vec<Running>,
    pub(super) stop: watch::Sender<bool>,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) name: &'static str,
    /// Of each part.
    pub(super) progress: Vec<watch::Receiver<Progress>>,
    pub(super) task: JoinHandle<()>,
}

impl Projections {
    /// Waits until every projection is set up and has applied all events up to a position, at most 30 seconds.
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for(&self, position: Position) -> Result<(), ProjectionStopped> {
        self.wait_for_within(position, DEADLINE).await
    }

    /// Waits until every projection is set up and has applied all events up to a position, at most `deadline`.
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for_within(&self, position: Position, deadline: Duration) -> Result<(), ProjectionStopped> {
        let mut parts: Vec<_> = self
            .running
            .iter()
            .flat_map(|running| running.progress.iter().map(move |part| (running, part.clone())))
            .map(|(running, part)| (running, Box::pin(running.arrives(part, position))))
            .collect();
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
        if let Ok(arrived) = tokio::time::timeout_at(after(deadline), arrived).await {
            return arrived;
        }
        parts.first().map_or(Ok(()), |(running, _)| {
            let (projection, checkpoint) = (running.name, running.checkpoint());
            Err(ProjectionStopped::Late { projection, checkpoint, wanted: position })
        })
    }

    /// The last position up to which every part of a projection is done; `None` if there is no such projection.
    #[must_use]
    pub fn checkpoint(&self, projection: &str) -> Option<Position> {
        let running = self.running.iter().find(|running| running.name == projection)?;
        Some(running.checkpoint())
    }

    /// Waits until a projection has stopped by itself, and returns why: for a program that then ends, or restarts it.
    /// Dropping the future changes nothing.
    pub async fn stopped(&self) -> ProjectionStopped {
        let ended = |part: &watch::Receiver<Progress>| {
            let mut part = part.clone();
            // It is an error if the task is gone, as when the runtime shuts down.
            async move { drop(part.wait_for(|progress| progress.stage.has_ended()).await) }
        };
        let mut parts: Vec<_> = self
            .running
            .iter()
            .flat_map(|running| running.progress.iter().map(move |part| (running, Box::pin(ended(part)))))
            .collect();
        let stopped = poll_fn(|task| {
            let mut stopped = parts
                .iter_mut()
                .filter_map(|(running, ended)| ended.as_mut().poll(task).is_ready().then_some(*running));
            stopped.next().map_or(Poll::Pending, Poll::Ready)
        });
        let running = stopped.await;
        let shut_down = ProjectionStopped::ShutDown { projection: running.name, checkpoint: running.checkpoint() };
        running.failure().err().unwrap_or(shut_down)
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
    /// that does not return is left behind.
    ///
    /// # Errors
    /// The first projection that had failed, or that did not stop in time and was aborted.
    pub async fn shutdown_within(mut self, deadline: Duration) -> Result<(), ProjectionStopped> {
        // Nobody listens if every projection has stopped by itself.
        let _ = self.stop.send(true);
        let until = after(deadline);
        let mut result = Ok(());
        for running in &mut self.running {
            result = result.and(running.end(until).await);
        }
        result
    }
}

/// The end of a deadline that begins now.
pub(crate) fn after(deadline: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(deadline).unwrap_or(now + FOR_EVER)
}

impl Drop for Projections {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl Running {
    /// Waits until a part reaches a position. An error if it ends before that, or its task is gone, as when the runtime
    /// shuts down.
    async fn arrives(&self, mut part: watch::Receiver<Progress>, position: Position) -> Result<(), ProjectionStopped> {
        let ended = part.wait_for(|progress| progress.has(position) || progress.stage.has_ended()).await;
        if ended.is_ok_and(|progress| progress.has(position)) {
            return Ok(());
        }
        self.failure()?;
        let checkpoint = part.borrow().reached();
        Err(ProjectionStopped::ShutDown { projection: self.name, checkpoint })
    }

    /// The checkpoint of the part that is furthest behind.
    fn checkpoint(&self) -> Position {
        self.progress.iter().map(|progress| progress.borrow().reached()).min().unwrap_or_default()
    }

    /// Waits for the task, which was told to stop.
    async fn end(&mut self, until: Instant) -> Result<(), ProjectionStopped> {
        let ended = tokio::time::timeout_at(until, &mut self.task).await;
        match ended {
            // The follower catches panics; what is left is the drop of a store or a projection.
            Ok(Err(error)) if error.is_panic() => {
                let panicked = ProjectionError::panicked(&*error.into_panic());
                Err(self.failed(self.checkpoint(), panicked.into_cause().into()))
            }
            Ok(_) => self.failure(),
            Err(_) => {
                self.task.abort();
                Err(ProjectionStopped::Aborted { projection: self.name, checkpoint: self.checkpoint() })
            }
        }
    }

    /// The failure of the first part that has failed.
    fn failure(&self) -> Result<(), ProjectionStopped> {
        for part in &self.progress {
            let progress = part.borrow();
            if let Stage::Failed(source) = &progress.stage {
                return Err(self.failed(progress.reached(), Arc::clone(source)));
            }
        }
        Ok(())
    }

    fn failed(&self, checkpoint: Position, source: Arc<dyn Error + Send + Sync + 'static>) -> ProjectionStopped {
        ProjectionStopped::Failed { projection: self.name, checkpoint, source }
    }
}
