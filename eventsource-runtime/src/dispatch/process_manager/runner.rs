//! Starts process managers in tasks of their own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::ProcessManager;
use super::reacting::{ManagerContext, ManagerStore, Names};
use super::store::ManagerProjection;
use super::timer::Timer;
use crate::clock::{self, Clock};
use crate::dispatch::{CommandBus, boxed};
use crate::projection::{DeadLetters, OnFailure, ProjectionRunner, ProjectionStore, Projections};
use crate::store::Position;

/// The dead letters of a process manager on a store, from [`ProcessManagerRunner::dead_letters`].
pub type ManagerDeadLetters<S> = DeadLetters<ManagerStore<S>>;

/// How many reactions may lead to one another by default.
const DEPTH: u32 = 32;

/// Runs process managers on a store and a command bus.
///
/// Each follows the feed like a projection, with a checkpoint and a lease of its own, always event by event: it runs in
/// one place at a time, retries what fails, and then does what its [`OnFailure`] says. A manager that is new to the
/// store begins with the first event of the feed: on a store with a past, it sends commands now for what may be years
/// of orders. [`ProcessManagerRunner::begin_now`] skips the past. A manager never reacts again to what it has passed.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Signed { mail: String }
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, error = std::fmt::Error, events(Signed))]
/// # struct User;
/// # impl Apply<Signed> for User { fn apply(&mut self, _: Signed) {} }
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Sent {}
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, error = std::fmt::Error, events(Sent))]
/// # struct Mail;
/// # impl Apply<Sent> for Mail { fn apply(&mut self, _: Sent) {} }
/// # #[derive(Command, Clone, Serialize, Deserialize)]
/// # #[command(aggregate = Mail)]
/// # struct Send { #[command(id)] to: String }
/// # #[command_handler]
/// # impl Mail { fn send(&self, _: Send) -> Result<Sent, std::fmt::Error> { Ok(Sent {}) } }
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Greeted {}
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Greeted))]
/// # struct Greeting;
/// # impl Apply<Greeted> for Greeting { fn apply(&mut self, _: Greeted) {} }
/// #[process_manager]
/// impl Greeting {
///     fn signed(&self, event: &Recorded<Signed>) -> Send {
///         Send { to: event.mail.clone() }
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let users = Repository::<User, _>::new(store.clone());
/// let bus = CommandBus::builder().aggregate(Repository::<Mail, _>::new(store.clone())).build();
/// let managers = ProcessManagerRunner::new(store.clone(), bus).process_manager::<Greeting>().spawn();
///
/// let signed = Signed { mail: "ada@example.org".into() };
/// let committed = users.append(&"ada".into(), ExpectedVersion::NoStream, signed).await?;
/// managers.wait_for(committed.position).await?;
/// assert!(Repository::<Mail, _>::new(store).exists(&"ada@example.org".into()).await?);
/// managers.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[doc(alias = "saga")]
#[must_use = "nothing runs before `spawn`"]
pub struct ProcessManagerRunner<S: ProjectionStore> {
    runner: ProjectionRunner<ManagerStore<S>>,
    context: ManagerContext,
    timers: Vec<SpawnTimer<S>>,
}

type SpawnTimer<S> = fn(&ManagerStore<S>, watch::Receiver<bool>) -> JoinHandle<()>;

impl<S: ProjectionStore> ProcessManagerRunner<S> {
    /// Creates a runner without managers, whose commands go to `bus`.
    pub fn new(store: S, bus: CommandBus) -> Self {
        let context =
            ManagerContext { bus, clock: clock::system(), max_depth: DEPTH, metrics: true, names: Vec::new() };
        let store = ManagerStore { store, context: Arc::new(context.clone()), leases: Vec::new(), late: false };
        let runner = ProjectionRunner::new(store).one_by_one();
        Self { runner, context, timers: Vec::new() }
    }

    /// Adds a manager. It runs in one partition, since the events of one process come from several streams, and reacts
    /// to one event after the other: each costs a few commits, one for each command among them. What happens more often
    /// than that is no matter for a process manager: handle it in a subscription with lanes.
    pub fn process_manager<M: ProcessManager>(mut self) -> Self {
        self.context.names.push(Names::of::<M>());
        self.runner = self.runner.projection(ManagerProjection::<M>::new());
        self.timers.push(|manager, stopped| {
            let context = &manager.context;
            let timer = Timer::<M, _>::new(manager.store.clone(), Arc::clone(&context.clock), context.metrics);
            tokio::spawn(boxed(timer.run(stopped)))
        });
        self
    }

    /// Switches off the spans of all managers, whatever their `enable_tracing` says, and every span of ours below them.
    /// By default, or if set to true, managers have spans unless they opt out themselves.
    pub fn enable_tracing(self, enabled: bool) -> Self {
        Self { runner: self.runner.enable_tracing(enabled), ..self }
    }

    /// As [`ProjectionRunner::ignore_contexts`].
    pub fn ignore_contexts(self) -> Self {
        Self { runner: self.runner.ignore_contexts(), ..self }
    }

    /// Lets managers that are new to the store begin after a position, without reacting to anything before it. If it
    /// lies beyond the head, events up to it are skipped too. By default they begin with the first event.
    ///
    /// One that has a checkpoint continues from there regardless: the call may stay in the code after the first start.
    /// Several processes that start a new manager agree on where the first of them began.
    pub fn begin_after(self, position: Position) -> Self {
        Self { runner: self.runner.begin_after(position), ..self }
    }

    /// The same with the head that the store first reports after [`ProcessManagerRunner::spawn`]. What is committed in
    /// between may count as past: if that matters, use `begin_after(store.head().await?)`.
    pub fn begin_now(self) -> Self {
        Self { runner: self.runner.begin_now(), ..self }
    }

    /// Switches the managers' metrics on or off, independently of tracing. On by default.
    pub fn enable_metrics(mut self, enabled: bool) -> Self {
        self.context.metrics = enabled;
        Self { runner: self.runner.enable_metrics(enabled), ..self }
    }

    /// What happens to an event that a manager cannot react to, or whose commands cannot be dispatched;
    /// [`OnFailure::Stop`] by default. A refused command is no failure, nor is a stream to which others append without
    /// a pause: like a store in trouble it is retried for as long as [`ProcessManagerRunner::patience`] says. A dead
    /// letter parks the stream of its event, not the process: events of other streams and timeouts still reach it, and
    /// a retry dispatches what was decided when the event came, whatever the process has decided since.
    pub fn on_failure(self, policy: OnFailure) -> Self {
        Self { runner: self.runner.on_failure(policy), ..self }
    }

    /// As [`ProjectionRunner::max_retries`].
    pub fn max_retries(self, retries: u32) -> Self {
        Self { runner: self.runner.max_retries(retries), ..self }
    }

    /// As [`ProjectionRunner::patience`].
    pub fn patience(self, patience: Duration) -> Self {
        Self { runner: self.runner.patience(patience), ..self }
    }

    /// As [`ProjectionRunner::lease`].
    pub fn lease(self, term: Duration) -> Self {
        Self { runner: self.runner.lease(term), ..self }
    }

    /// As [`ProjectionRunner::owner`].
    pub fn owner(self, owner: impl Into<Arc<str>>) -> Self {
        Self { runner: self.runner.owner(owner), ..self }
    }

    /// How many reactions may lead to one another before the last is refused with
    /// [`ChainTooLong`](super::ChainTooLong); 32 by default. What a process schedules begins anew.
    ///
    /// What an async method of a projection dispatches about an event goes on with the event's chain, and so does what
    /// runs in [`caused_by`](crate::dispatch::caused_by). Any other way out of the managers and back ends the chain, so
    /// that nothing stops a cycle that takes it: the handler of a bus's message, which carries no metadata, or a task
    /// that is spawned without `caused_by`.
    pub fn max_depth(mut self, depth: u32) -> Self {
        self.context.max_depth = depth;
        self
    }

    /// Takes the time from `clock`: scheduled events are recorded by it.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.context.clock = Arc::clone(&clock);
        Self { runner: self.runner.with_clock(clock), ..self }
    }

    /// The dead letters of a manager, under [`OnFailure::DeadLetter`]: a retry continues after what was dispatched
    /// before. It works beside runners of the manager, with the switches and the clock that this one was given so far.
    ///
    /// One letter of a manager is settled at a time in the whole store, under a lease: `retry` and `resolve` wait while
    /// another caller, or a runner, settles one, so that no letter is reacted to twice, or once it is resolved. If that
    /// one's program dies, or its future is dropped, they wait for up to five seconds. Call neither in the handler of a
    /// command that the manager dispatches: it would wait for itself.
    pub fn dead_letters<M: ProcessManager>(&self) -> ManagerDeadLetters<S> {
        let mut context = self.context.clone();
        context.names.push(Names::of::<M>());
        let store = ManagerStore { context: Arc::new(context), ..self.runner.store.clone() };
        self.runner.dead_letters_on(store, ManagerProjection::<M>::new())
    }

    /// Starts a task for each manager, and one for the events that its processes schedule. Like projections they can be
    /// waited for and shut down: `wait_for` returns when the managers have reacted to all events up to a position and
    /// dispatched the commands; what those led to comes after it. `wait_for` and `shutdown` return a failure, and
    /// report a name that two managers of the runner share.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(mut self) -> Projections {
        self.runner.store.context = Arc::new(self.context);
        let timers = self.timers;
        self.runner.spawn_beside(|store, stopped| timers.iter().map(|spawn| spawn(store, stopped.clone())).collect())
    }
}

impl<S: ProjectionStore> fmt::Debug for ProcessManagerRunner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.context.names.iter().map(|names| names.manager).collect();
        f.debug_struct("ProcessManagerRunner").field("process_managers", &names).finish_non_exhaustive()
    }
}
