//! Starts projections in tasks of their own.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::dead_letters::DeadLetters;
use super::error::ProjectionError;
use super::options::{Begin, OnFailure, Options, ProjectionOptions, Rebuild};
use super::partition::Partition;
use super::partition_runner::PartitionRunner;
use super::progress::{Standing, Watched};
use super::running::{Projections, Told};
use super::stopped::ProjectionStopped;
use super::task::ProjectionTask;
use super::{Projection, ProjectionStore};
use crate::clock::Clock;
use crate::dispatch::boxed;
use crate::store::{EventStore, Position, StoreError};
use crate::telemetry::{Scope, metrics};

/// Runs projections on a store.
///
/// Each runs in a task of its own: it catches up in batches whose size adapts to their duration, so that commands are
/// not held up, and then follows live, event by event. If 64 events or more are waiting, over all its partitions, or
/// fewer that are large, it returns to batches. A failing step is retried a few times with growing pauses, with nothing
/// of it committed; then the projection stops, or does what else its [`OnFailure`] says, and the others continue. A
/// store in trouble is retried for minutes.
///
/// A projection runs in one place at a time: it has a lease in the store, which it renews. If several processes start
/// it, one runs it; the others wait, report its progress as theirs, and one of them takes over when the lease is given
/// up or expires.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/account.rs"));
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// struct Total(Arc<AtomicU64>);
///
/// #[projection]
/// impl Total {
///     fn deposited(&self, event: &Recorded<Deposited>) {
///         self.0.fetch_add(event.cents, Ordering::Relaxed);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let commands = CommandBus::builder().aggregate(Repository::<Account, _>::new(store.clone())).build();
/// let total = Arc::new(AtomicU64::new(0));
/// let projections = ProjectionRunner::new(store).projection(Total(Arc::clone(&total))).spawn();
///
/// let committed = commands.dispatch(Deposit { account: "ada".into(), cents: 500 }).await?;
/// // To read this write, wait for its position.
/// projections.wait_for(committed.position).await?;
/// assert_eq!(total.load(Ordering::Relaxed), 500);
/// projections.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "event processor")]
#[must_use = "nothing runs before `spawn`"]
pub struct ProjectionRunner<S: ProjectionStore> {
    pub(crate) store: S,
    projections: Vec<Chosen<S>>,
    options: Options,
}

type Chosen<S> = (Arc<dyn Projection<<S as ProjectionStore>::Backend>>, ProjectionOptions);

impl<S: ProjectionStore> ProjectionRunner<S> {
    /// A runner without projections.
    pub fn new(store: S) -> Self {
        Self { store, projections: Vec::new(), options: Options::default() }
    }

    /// Adds a projection.
    pub fn projection<P: Projection<S::Backend>>(self, projection: P) -> Self {
        self.projection_with(projection, ProjectionOptions::default())
    }

    /// Adds a projection with options of its own.
    pub fn projection_with<P: Projection<S::Backend>>(mut self, projection: P, options: ProjectionOptions) -> Self {
        self.projections.push((Arc::new(projection), options));
        self
    }

    /// `false` switches the spans of all projections off. `true` switches on those of projections whose macro has no
    /// `enable_tracing`. Unless set, only projections that ask for spans have them, since a span for each event is a
    /// lot.
    pub fn enable_tracing(mut self, enabled: bool) -> Self {
        self.options.tracing = Some(enabled);
        self
    }

    /// Ignores the contexts stored with the events: the projections' spans start new traces as always, but link to
    /// nothing. They can link or ignore, but not continue a trace, which would grow with every replay.
    pub fn ignore_contexts(mut self) -> Self {
        self.options.links = false;
        self
    }

    /// Switches the projections' metrics on or off; independent of tracing. On unless set.
    pub fn enable_metrics(mut self, enabled: bool) -> Self {
        self.options.metrics = enabled;
        self
    }

    /// Empties the read models with their `#[projection(reset)]` methods and rebuilds them from the first event: for
    /// use after a change to a projection, whose checkpoint otherwise stays where it is. Readers see them grow. A
    /// projection without such a method stops with an error. The set-up does not run again: if the tables have changed,
    /// that method must drop and create them.
    ///
    /// Like any start, it waits for the lease: while another process runs the projection, nothing is emptied. With
    /// several partitions it takes all leases or none: while another process has one, the others are free. If the lease
    /// is lost midway, it waits for it again and starts over. Until the read model is rebuilt, `wait_for` waits, whatever
    /// the other process has applied.
    ///
    /// A rebuild that waits logs a warning, `eventsource.projection.rebuild_waits`, and stays due: when the other
    /// process ends, perhaps days later, it empties the read model in front of its readers, even if the other has
    /// rebuilt it meanwhile, since the store does not know which program that was. So start one process with this
    /// option, and all others without.
    ///
    /// Every start with this option rebuilds: remove the call, or put it behind a flag, once it has run. For one of
    /// several projections there is [`ProjectionOptions::rebuild`].
    pub fn rebuild(mut self) -> Self {
        self.options.rebuild = Some(Rebuild::InPlace);
        self
    }

    /// Rebuilds the read models from the first event beside the old ones, which readers see and other processes keep up
    /// to date, until the new ones replace them in one transaction. A store that cannot do that stops the projection
    /// with an error: the in-memory store has no second place, a `SQLite` store has one if it is in a file.
    ///
    /// The projection's methods are the same; the store makes the names of their tables mean the new ones. On `SQLite`
    /// they see no other tables. On `PostgreSQL` they must name their tables without a schema and create them in their
    /// set-up, without `DROP … IF EXISTS`: a projection that writes to any other, or drops it, stops with an error.
    /// Until the new read model is in its place, `wait_for` waits. Once it is, this runner has the lease, and the
    /// previous holder waits for the next.
    ///
    /// A table with the name of one that the projection creates is replaced, whether it is the projection's or not.
    /// Only the store's own tables are refused, and on `SQLite` the name of an index or a trigger on a table that is
    /// not the projection's. On `PostgreSQL` grants on tables, columns and sequences are carried over; a policy, row
    /// level security, a trigger or a place in a publication that the new table lacks stops the projection with an
    /// error, and so does what depends on an old table and is not of the projection, such as a view of a report or a
    /// foreign key: the error names it, before anything is built. Nothing else that was set for the old table is carried
    /// over.
    ///
    /// If another runner is building it aside, this one waits until that is done, or its process gone, and then begins.
    ///
    /// A projection in several partitions cannot be built aside, and stops with an error: use
    /// [`ProjectionRunner::rebuild`].
    ///
    /// On `SQLite` the swap copies the new tables in one transaction, for which all appends to the file wait: about a
    /// second for a million rows.
    ///
    /// The swap waits for long reads of the old tables, and is retried meanwhile. This runner already has the lease
    /// then, so that the old read model stands still for as long, five minutes at most.
    pub fn rebuild_aside(mut self) -> Self {
        self.options.rebuild = Some(Rebuild::Aside);
        self
    }

    /// What happens to an event that a projection cannot apply; [`OnFailure::Stop`] unless set.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.options.on_failure = policy;
        self
    }

    /// How many times a failing step is retried before [`ProjectionRunner::on_failure`] decides, with pauses from 10
    /// milliseconds to a second; 5 unless set, which takes about two seconds. It decides at once about an event that cannot
    /// be decoded, or whose error is [permanent](super::ProjectionError::permanent); and about an event for which a
    /// statement is wrong, such as one of a column that is not there, if an earlier one was retried for the like.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// How long the store may be in trouble, unreachable or failing, before a projection stops; 5 minutes unless set.
    /// While a projection only waits for a connection of the store's that others keep in use, this does not run out.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.options.patience = patience;
        self
    }

    /// How long a lease lasts. It is renewed every third of that; if a process dies without giving it up, others wait
    /// for the rest. At least a millisecond; 5 seconds unless set.
    ///
    /// No SQL store believes that another's lease lasts longer than half an hour, or twice this term if that is more:
    /// the clock must have been set back. Terms that long should be the same in all processes.
    pub fn lease(mut self, term: Duration) -> Self {
        self.options.lease = term.max(Duration::from_millis(1));
        self
    }

    /// This runner's name where others wait for its leases; unless set, the process's number and the name of its
    /// machine or container, such as `process 1 on orders-7d9f`.
    pub fn owner(mut self, owner: impl Into<Arc<str>>) -> Self {
        self.options.owner = owner.into();
        self
    }

    /// As [`ProjectionOptions::begin_after`], for all projections of the runner.
    pub fn begin_after(mut self, position: Position) -> Self {
        self.options.begin = Begin::After(position);
        self
    }

    /// As [`ProjectionOptions::begin_now`], for all projections of the runner.
    pub fn begin_now(mut self) -> Self {
        self.options.begin = Begin::Now;
        self
    }

    /// Never applies events in batches.
    pub(crate) fn one_by_one(mut self) -> Self {
        self.options.one_by_one = true;
        self
    }

    /// The dead letters of a projection, under [`OnFailure::DeadLetter`]. It works beside runners of the projection,
    /// with the switches and the clock that this one was given so far.
    #[must_use]
    pub fn dead_letters<P: Projection<S::Backend>>(&self, projection: P) -> DeadLetters<S> {
        self.dead_letters_on(self.store.clone(), projection)
    }

    /// The same on another store.
    pub(crate) fn dead_letters_on<P: Projection<S::Backend>>(&self, store: S, projection: P) -> DeadLetters<S> {
        DeadLetters::with(store, projection, self.options.clone())
    }

    /// Takes the time from `clock`: lag is measured by it, and a dead letter says when it was set aside.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.options.clock = clock;
        self
    }

    /// Runs relays instead of projections: their only metrics are the gap, whether they run, retries and lost leases,
    /// if `gap`. What they publish is dropped if it holds up their end: the checkpoint stays before it.
    pub(crate) fn relaying(mut self, gap: bool) -> Self {
        (self.options.metrics, self.options.relay) = (false, Some(gap));
        self
    }

    /// Starts a task for each projection. `wait_for` and `shutdown` report a set-up that fails, and a name that another
    /// projection of the runner has.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(self) -> Projections {
        self.spawn_beside(|_, _| Vec::new())
    }

    /// The same with tasks beside them, which end when they are told to stop; what they wrote by then is theirs.
    pub(crate) fn spawn_beside(
        self,
        tasks: impl FnOnce(&S, &watch::Receiver<bool>) -> Vec<JoinHandle<()>>,
    ) -> Projections {
        let (stop, stopped) = watch::channel(false);
        let beside = tasks(&self.store, &stopped);
        let mut names = HashSet::new();
        let running = self.projections.iter().map(|(projection, options)| {
            let name = projection.name();
            let is_new = names.insert(name);
            if is_new { self.start(projection, &self.options.with(options), &stopped) } else { refused(name) }
        });
        Projections::new(running, beside, stop)
    }

    fn start(
        &self,
        projection: &Arc<dyn Projection<S::Backend>>,
        options: &Options,
        stopped: &watch::Receiver<bool>,
    ) -> (Watched, JoinHandle<Told>) {
        let name = projection.name();
        let scope = Scope::detached();
        let running = options.counted_as().and_then(|_| metrics::Told::running(name, options.relay.is_some()));
        let (mut parts, mut watched) = (Vec::new(), Vec::new());
        for partition in Partition::all(name, options.partitions) {
            let (progress, of_part) = watch::channel(Standing::default());
            watched.push(of_part);
            parts.push(PartitionRunner {
                feed: self.store.clone(),
                store: self.store.clone(),
                projection: Arc::clone(projection),
                partition,
                options: options.clone(),
                progress,
                stopped: stopped.clone(),
                gap: None,
                running: running.clone(),
                rebuilding: None,
            });
        }
        if options.counted_as().is_some() {
            let gaps = metrics::Gap::observed(name, parts.len(), options.relay.is_some());
            parts.iter_mut().zip(gaps).for_each(|(part, gap)| part.gap = Some(gap));
        }
        let head = scope.clone().muted().in_scope(|| head_of(&self.store));
        let task = ProjectionTask { parts, scope: scope.clone() };
        let run = async move {
            task.run(head).await;
            running
        };
        (Watched { name, parts: watched }, tokio::spawn(scope.run(boxed(run))))
    }
}

/// A projection that does not start, because another one of the runner has its name.
fn refused(name: &'static str) -> (Watched, JoinHandle<Told>) {
    let reason = format!("the runner has another projection of the name `{name}`; give one of them its own");
    let ended = ProjectionStopped::failed(name, Position::START, ProjectionError::new(reason));
    let (_, part) = watch::channel(Standing { checkpoint: None, ended: Some(ended) });
    (Watched { name, parts: vec![part] }, tokio::spawn(std::future::ready(None)))
}

/// A request for the store's head, in flight.
pub(super) type Asked = Pin<Box<dyn Future<Output = Result<Position, StoreError>> + Send>>;

/// Asks for the head at once, not when the task runs: what is appended after `spawn` is live, not the past.
fn head_of<S: EventStore>(store: &S) -> Asked {
    let store = store.clone();
    let mut head: Asked = Box::pin(async move { store.head().await });
    let first = catch_unwind(AssertUnwindSafe(|| head.as_mut().poll(&mut Context::from_waker(Waker::noop()))));
    match first {
        Ok(Poll::Ready(head)) => Box::pin(std::future::ready(head)),
        Ok(Poll::Pending) => head,
        // In the task, where panics are reported.
        Err(panic) => Box::pin(async move { resume_unwind(panic) }),
    }
}

impl<S: ProjectionStore> fmt::Debug for ProjectionRunner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.projections.iter().map(|(projection, _)| projection.name()).collect();
        f.debug_struct("ProjectionRunner").field("projections", &names).finish_non_exhaustive()
    }
}
