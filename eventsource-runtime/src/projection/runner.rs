//! Starts projections in tasks of their own.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;

use super::error::ProjectionError;
use super::follower::Follower;
use super::running::{Progress, Projections, Running, Stage};
use super::{Projection, ProjectionStore};
use crate::clock::{self, Clock};
use crate::store::{EventStore, Position, StoreError};
use crate::telemetry::{Scope, metrics};

/// How often a failing step is tried again before the projection stops.
const RETRIES: u32 = 5;

/// Puts projections on a store and starts them.
///
/// Each runs in a task of its own: it catches up in batches whose size adapts to their duration, so that commands are
/// not held up, and then follows live, event by event, except where 64 or more have piled up. A step that fails is
/// tried again a few times with growing pauses; then its projection stops, with nothing of the step committed, and the
/// others go on.
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

    /// Empties the read models with their `#[projection(reset)]` methods and builds them again from the first event:
    /// after a change to a projection, whose checkpoint otherwise stays where it is. Readers see them grow. A projection
    /// without such a method stops with an error.
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

    /// Starts a task for each projection. A set-up that fails comes out of `wait_for` and `shutdown`, and so does a
    /// name that another projection of the runner has.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(self) -> Projections {
        let (stop, stopped) = watch::channel(false);
        let mut names = HashSet::new();
        let running = self.projections.iter().map(|projection| {
            if names.insert(projection.name()) { self.start(projection, &stopped) } else { refused(projection.name()) }
        });
        Projections { running: running.collect(), stop }
    }

    fn start(&self, projection: &Arc<dyn Projection<S::Backend>>, stopped: &watch::Receiver<bool>) -> Running {
        let name = projection.name();
        let scope = Scope::detached();
        let (progress, seen) = watch::channel(Progress::default());
        let follower = Follower {
            store: self.store.clone(),
            projection: Arc::clone(projection),
            options: self.options.clone(),
            progress,
            stopped: stopped.clone(),
            gap: if self.options.metrics { metrics::Gap::observed(name) } else { None },
        };
        let head = scope.clone().muted().in_scope(|| head_of(&self.store));
        Running { name, progress: seen, task: tokio::spawn(scope.run(follower.run(head))) }
    }
}

/// A projection that does not start, because another one of the runner has its name.
fn refused(name: &'static str) -> Running {
    let stage = Stage::failed(ProjectionError::same_name(name));
    let (_, progress) = watch::channel(Progress { checkpoint: Position::START, stage });
    Running { name, progress, task: tokio::spawn(std::future::ready(())) }
}

/// The head of the store, on its way.
pub(super) type Asked = Pin<Box<dyn Future<Output = Result<Position, StoreError>> + Send>>;

/// Asks for the head at once, not when the task comes to it: what is appended after `spawn` is live, not the past.
fn head_of<S: EventStore>(store: &S) -> Asked {
    let store = store.clone();
    let mut head: Asked = Box::pin(async move { store.head().await });
    let first = catch_unwind(AssertUnwindSafe(|| head.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
    match first {
        Ok(Poll::Ready(head)) => Box::pin(std::future::ready(head)),
        Ok(Poll::Pending) => head,
        // In the task, where panics are told.
        Err(panic) => Box::pin(async move { resume_unwind(panic) }),
    }
}

impl<S: ProjectionStore> fmt::Debug for ProjectionRunner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.projections.iter().map(|projection| projection.name()).collect();
        f.debug_struct("ProjectionRunner").field("projections", &names).finish_non_exhaustive()
    }
}
