//! Runs projections in tasks of their own, and tells how far they are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::error::ProjectionStopped;
use super::follower::{Follower, Progress, Stage};
use super::{Projection, ProjectionStore};
use crate::clock::{self, Clock};
use crate::store::Position;
use crate::telemetry::{Scope, metrics};

/// How long `wait_for` waits.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often a failing step is tried again before the projection stops.
const RETRIES: u32 = 5;

/// Puts projections on a store and starts them.
///
/// Each runs in a task of its own: it catches up in batches whose size adapts to their duration, so that commands are
/// not held up, and then follows live, event by event. A step that fails is tried again a few times with growing
/// pauses; then its projection stops, with nothing of the step committed, and the others go on.
#[must_use = "nothing runs before `spawn`"]
pub struct ProjectionRunner<S: ProjectionStore> {
    store: S,
    projections: Vec<Arc<dyn Projection<S::Backend>>>,
    options: Options,
}

/// What all projections of a runner share.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) tracing: bool,
    pub(super) metrics: bool,
    pub(super) rebuild: bool,
    pub(super) retries: u32,
    pub(super) clock: Arc<dyn Clock>,
}

impl<S: ProjectionStore> ProjectionRunner<S> {
    /// A runner without projections.
    pub fn new(store: S) -> Self {
        let options =
            Options { tracing: false, metrics: true, rebuild: false, retries: RETRIES, clock: clock::system() };
        Self { store, projections: Vec::new(), options }
    }

    /// Adds a projection.
    pub fn projection<P: Projection<S::Backend>>(mut self, projection: P) -> Self {
        self.projections.push(Arc::new(projection));
        self
    }

    /// Switches the spans of projections on that do not say themselves. Off unless set: a span for each event is much.
    pub fn enable_tracing(mut self, enabled: bool) -> Self {
        self.options.tracing = enabled;
        self
    }

    /// Switches the projections' metrics on or off; independent of tracing. On unless set.
    pub fn enable_metrics(mut self, enabled: bool) -> Self {
        self.options.metrics = enabled;
        self
    }

    /// Empties the read models and builds them again from the first event. Readers see them grow.
    pub fn rebuild(mut self) -> Self {
        self.options.rebuild = true;
        self
    }

    /// How often a failing step is tried again before its projection stops; 5 unless set.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// Takes the time, to measure lag, from `clock`.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// Starts a task for each projection. A set-up that fails comes out of `wait_for` and `shutdown`.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(self) -> Projections {
        let (stop, stopped) = watch::channel(false);
        let scope = Scope::detached();
        let running = self.projections.into_iter().map(|projection| {
            let name = projection.name();
            let (progress, seen) = watch::channel(Progress::default());
            let gap = self.options.metrics.then(|| metrics::Gap::observed(name));
            let follower = Follower {
                store: self.store.clone(),
                projection,
                options: self.options.clone(),
                progress,
                stopped: stopped.clone(),
                gap,
            };
            let task = tokio::spawn(scope.clone().run(follower.run()));
            Running { name, progress: seen, task }
        });
        Projections { running: running.collect(), stop }
    }
}

impl<S: ProjectionStore> fmt::Debug for ProjectionRunner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.projections.iter().map(|projection| projection.name()).collect();
        f.debug_struct("ProjectionRunner").field("projections", &names).finish_non_exhaustive()
    }
}

/// Projections that are running.
///
/// Dropping this stops them as [`Projections::shutdown`] does, without waiting: each finishes or rolls back the batch
/// that it is at.
#[derive(Debug)]
#[must_use = "dropping this stops the projections"]
pub struct Projections {
    running: Vec<Running>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    progress: watch::Receiver<Progress>,
    task: JoinHandle<()>,
}

impl Projections {
    /// Waits until every projection has applied all events up to a position, at most 30 seconds.
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for(&self, position: Position) -> Result<(), ProjectionStopped> {
        self.wait_for_within(position, DEADLINE).await
    }

    /// Waits until every projection has applied all events up to a position, at most `deadline`.
    ///
    /// # Errors
    /// A projection stopped before it got there, or the deadline passed.
    pub async fn wait_for_within(&self, position: Position, deadline: Duration) -> Result<(), ProjectionStopped> {
        let until = tokio::time::Instant::now() + deadline;
        for running in &self.running {
            running.wait_for(position, until).await?;
        }
        Ok(())
    }

    /// The last position that a projection is done with; `None` if there is no such projection.
    #[must_use]
    pub fn checkpoint(&self, projection: &str) -> Option<Position> {
        let running = self.running.iter().find(|running| running.name == projection)?;
        Some(running.progress.borrow().checkpoint)
    }

    /// Stops the projections and waits until each has finished or rolled back the batch that it is at.
    ///
    /// # Errors
    /// The first projection that had failed.
    pub async fn shutdown(mut self) -> Result<(), ProjectionStopped> {
        // Nobody listens where every projection has stopped by itself.
        let _ = self.stop.send(true);
        let mut result = Ok(());
        for running in &mut self.running {
            // A panic of ours is told by the progress, which then ends without a stage.
            let _ = (&mut running.task).await;
            result = result.and(running.failure());
        }
        result
    }
}

impl Drop for Projections {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl Running {
    async fn wait_for(&self, position: Position, until: tokio::time::Instant) -> Result<(), ProjectionStopped> {
        let mut progress = self.progress.clone();
        let arrived = progress.wait_for(|progress| progress.checkpoint >= position || progress.stage.has_ended());
        let checkpoint = match tokio::time::timeout_at(until, arrived).await {
            Ok(Ok(progress)) if progress.checkpoint >= position => return Ok(()),
            Ok(Ok(progress)) => progress.checkpoint,
            // The task is gone, as when the runtime shuts down.
            Ok(Err(_)) => self.progress.borrow().checkpoint,
            Err(_) => {
                let checkpoint = self.progress.borrow().checkpoint;
                return Err(ProjectionStopped::Late { projection: self.name, checkpoint, wanted: position });
            }
        };
        self.failure()?;
        Err(ProjectionStopped::ShutDown { projection: self.name, checkpoint })
    }

    fn failure(&self) -> Result<(), ProjectionStopped> {
        let progress = self.progress.borrow();
        match &progress.stage {
            Stage::Failed(source) => Err(ProjectionStopped::Failed {
                projection: self.name,
                checkpoint: progress.checkpoint,
                source: Arc::clone(source),
            }),
            Stage::Running | Stage::ShutDown => Ok(()),
        }
    }
}
