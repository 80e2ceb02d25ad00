//! The write side of one aggregate: load, decide, append, and retry after a conflict.

mod cause;
mod load;
mod replay;
mod services;
mod snapshots;
mod steps;
mod turns;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use self::cause::Cause;
use self::replay::Replay;
pub(crate) use self::services::ServicesOf;
use self::snapshots::{Snapshots, written_soon};
use self::turns::Turns;
use crate::clock::{self, Clock};
use crate::dispatch::{Committed, Context, DispatchError};
use crate::domain::{Aggregate, AnyCommand, EventSet, Handlers, IntoEvents};
use crate::snapshot::{SnapshotStore, WithSnapshots};
use crate::store::{AppendError, Appended, Conflict, EventStore, ExpectedVersion, Position, StreamId, Version};
use crate::telemetry::Span;

/// How many times a conflict is retried by default.
const RETRIES: u32 = 10;

/// Loads and appends the aggregates of one type. It caches no state: every load reads the store.
///
/// Cloning is cheap. Futures may be dropped at any point; an append whose future was dropped may have been made.
///
/// Between the attempts of a command it sleeps on the timer of Tokio's runtime. Without one, as in another executor or
/// in a runtime built without `enable_time`, it retries at once.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/account.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let accounts = Repository::<Account, _>::new(MemoryStore::new());
/// let id = "ada".to_owned();
/// accounts.append(&id, ExpectedVersion::NoStream, Deposited { cents: 500 }).await?;
///
/// let account = accounts.load(&id).await?;
/// assert_eq!((account.state.cents, account.version.get()), (500, 1));
/// # Ok(())
/// # }
/// ```
pub struct Repository<A, S, V = ()> {
    store: S,
    services: Arc<V>,
    retries: u32,
    tracing: bool,
    metrics: bool,
    clock: Arc<dyn Clock>,
    snapshots: Arc<Snapshots>,
    turns: Arc<Turns>,
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate rebuilt from its stream, and where the stream stood.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state after the last event.
    pub state: A,
    /// The version of the last event; 0 if there is none.
    pub version: Version,
    /// The position of the last event; 0 if there is none.
    pub position: Position,
}

impl<A: Aggregate, S: EventStore + SnapshotStore> Repository<A, S> {
    /// A repository over a store, for handlers that need no services.
    pub fn new(store: S) -> Self {
        Self {
            store,
            services: Arc::new(()),
            retries: RETRIES,
            tracing: true,
            metrics: true,
            clock: clock::system(),
            snapshots: Arc::default(),
            turns: Arc::default(),
            aggregate: PhantomData,
        }
    }
}

impl<A, S, V> Repository<A, S, V> {
    /// The store that holds the events.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/account.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let accounts = Repository::<Account, _>::new(MemoryStore::new());
    /// let mut live = accounts.store().subscribe(Position::START);
    /// accounts.append(&"ada".to_owned(), Version::START, Deposited { cents: 500 }).await?;
    /// assert_eq!(live.next().await?.stream.as_str(), "Account-ada");
    /// # Ok(())
    /// # }
    /// ```
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// Gives the command handlers what they need besides the state.
    #[must_use]
    pub fn with_services<W>(self, services: W) -> Repository<A, S, W> {
        self.serving(|_| Arc::new(services))
    }

    /// The repository with those services that its aggregate's handlers borrow, which are the ones that it has.
    pub(crate) fn served(self) -> Repository<A, S, A::Services>
    where
        A: Handlers,
        A::Services: ServicesOf<A, V>,
    {
        self.serving(A::Services::shared)
    }

    fn serving<W>(self, services: impl FnOnce(Arc<V>) -> Arc<W>) -> Repository<A, S, W> {
        self.with(|store, had| (store, services(had)))
    }

    fn with<T, W>(self, change: impl FnOnce(S, Arc<V>) -> (T, Arc<W>)) -> Repository<A, T, W> {
        let Self { store, services, retries, tracing, metrics, clock, snapshots, turns, aggregate } = self;
        let (store, services) = change(store, services);
        Repository { store, services, retries, tracing, metrics, clock, snapshots, turns, aggregate }
    }

    /// Keeps the snapshots in a different store than the events.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct Deposited { cents: u64 }
    /// # #[derive(Aggregate, Default, serde::Serialize, serde::Deserialize)]
    /// # #[aggregate(id = String, events(Deposited), snapshot(every = 100))]
    /// # struct Account { cents: u64 }
    /// # impl Apply<Deposited> for Account { fn apply(&mut self, event: Deposited) { self.cents += event.cents; } }
    /// # let store = MemoryStore::new();
    /// let accounts = Repository::<Account, _>::new(store).with_snapshots(MemoryStore::new());
    /// ```
    #[must_use]
    pub fn with_snapshots<T>(self, snapshots: T) -> Repository<A, WithSnapshots<S, T>, V> {
        let repository = self.with(|store, services| (WithSnapshots::new(store, snapshots), services));
        // What was learnt of another store, and is being written there, says nothing of this one.
        Repository { snapshots: Arc::default(), ..repository }
    }

    /// Switches `load_aggregate`, `handle_command`, `persist_events` and all of this crate's spans below them on or
    /// off. On unless set.
    #[must_use]
    pub fn enable_tracing(self, enabled: bool) -> Self {
        Self { tracing: enabled, ..self }
    }

    /// Switches the repository's metrics on or off; independent of tracing. On unless set.
    #[must_use]
    pub fn enable_metrics(self, enabled: bool) -> Self {
        Self { metrics: enabled, ..self }
    }

    /// How many times a command is decided again after a conflict; 10 unless set. 0 gives every conflict to the caller.
    ///
    /// From its first conflict on, the commands that this repository and its clones handle on that stream take turns,
    /// so that they do not keep taking each other's version. A command waits for its turn as long as those of others
    /// end: for each, half a second, or twice as long as they take, but ten seconds at most.
    #[must_use]
    pub fn max_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Takes time and identifiers from `clock`.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }
}

impl<A: Aggregate, S: EventStore + SnapshotStore, V: Send + Sync + 'static> Repository<A, S, V> {
    /// Appends events that no command led to, if the stream is where it is expected: a [`Version`] is that of its last
    /// event. Nothing is decided and nothing retried.
    ///
    /// # Errors
    /// The stream is at another version than expected, an event cannot be stored, or the store failed.
    pub async fn append(
        &self,
        id: &A::Id,
        expected: impl Into<ExpectedVersion> + Send,
        events: impl IntoEvents<A::Event> + Send,
    ) -> Result<Committed, AppendError> {
        self.append_with(id, expected, events, Context::default()).await
    }

    /// Appends events with an id, a correlation or metadata, such as those of an import. If they are appended again
    /// with the same [`Context::command_id`], nothing is appended and the first result is returned.
    ///
    /// They must be the same to the byte. Each process writes a `HashMap` or `HashSet` in a different order: use a
    /// `BTreeMap` or `BTreeSet` in events.
    ///
    /// # Errors
    /// As [`Repository::append`]; or other events were appended with this id. `expected` alone counts, not the
    /// context's expected version.
    pub async fn append_with(
        &self,
        id: &A::Id,
        expected: impl Into<ExpectedVersion> + Send,
        events: impl IntoEvents<A::Event> + Send,
        context: Context,
    ) -> Result<Committed, AppendError> {
        let mut list = Vec::new();
        events.into_events(&mut list);
        let command_id = context.command_id.unwrap_or_else(|| self.clock.new_id());
        let cause = Cause { context: &context, command_id, caused: false };
        let appended = self.persist(&StreamId::of::<A>(id), expected.into(), &list, &cause).await?;
        Ok(Committed::new(appended, command_id))
    }

    /// Handles a command: loads, decides, persists; repeats that after a conflict, with the events appended since.
    ///
    /// The command is borrowed because each future that it moved through would reserve space for it.
    #[expect(clippy::manual_async_fn, reason = "as in `steps`")]
    pub(crate) fn handle(
        &self,
        command: &dyn AnyCommand<A>,
        context: &Context,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<Committed, DispatchError<A::Error>>> + Send
    where
        A: Handlers<Services = V>,
    {
        async move {
            let stream = StreamId::of::<A>(command.id());
            let command_id = context.command_id.unwrap_or_else(|| self.clock.new_id());
            let cause = Cause { context, command_id, caused: true };
            let mut replay = Box::<Replay<A>>::default();
            // The same command may be appended from elsewhere between the load and the append. If it led to other
            // events there, the store takes ours for another use of their ids; the next load finds the result.
            let mut may_be_repeated = context.command_id.is_some();
            let mut turn = match self.turns.begin(&stream) {
                Some(coming) => Some(coming.await),
                None => None,
            };
            loop {
                replay = self.replay(&stream, replay, context.command_id, self.metrics && progress.metered).await?;
                if let Some(earlier) = replay.earlier {
                    return Ok(Committed::new(earlier, command_id));
                }
                if let Some(expected) = context.expected_version.filter(|expected| !expected.admits(replay.version)) {
                    let conflict = Conflict::new(stream, expected, replay.version);
                    return Err(AppendError::from(conflict.with_context(context.expected_version)).into());
                }
                let decision = self.decide(&stream, &replay.state, command);
                let events = match &turn {
                    // In a box: commands without would reserve space for it.
                    Some(turn) if turn.has_come() => Box::pin(turn.deciding(decision)).await?,
                    _ => decision.await?,
                };
                if events.is_empty() {
                    let nothing = Appended::new(replay.version, replay.position, 0);
                    return Ok(Committed::new(nothing, command_id));
                }
                let again = match self.persist(&stream, ExpectedVersion::Exact(replay.version), &events, &cause).await {
                    // Appended by another dispatch of the command, which may have led to more than these.
                    Ok(appended) if appended.repeated && may_be_repeated => {
                        may_be_repeated = false;
                        continue;
                    }
                    Ok(appended) => {
                        progress.appended(&events);
                        let committed = Committed::new(appended, command_id);
                        // Whose turn is next need not wait for the snapshot.
                        drop(turn);
                        if let Some(writing) = self.snapshot_behind(&stream, replay, events, &committed) {
                            // In a box: commands after which none is due would reserve space for it.
                            Box::pin(written_soon(writing)).await;
                        }
                        return Ok(committed);
                    }
                    Err(error @ AppendError::Conflict(_)) if progress.retries < self.retries => error.error_type(),
                    Err(error @ AppendError::IdempotencyMismatch { .. }) if may_be_repeated => {
                        may_be_repeated = false;
                        error.error_type()
                    }
                    Err(AppendError::Conflict(conflict)) => {
                        return Err(AppendError::from(conflict.with_context(context.expected_version)).into());
                    }
                    Err(error) => return Err(error.into()),
                };
                self.pause((command.name(), &stream), progress.retries, again).await;
                if !turn.as_ref().is_some_and(|turn| turn.has_come()) {
                    turn = Some(self.turns.again(&stream).await);
                }
                progress.retries += 1;
            }
        }
    }
}

/// A command's progress, as recorded on its span however it ends.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) retries: u32,
    /// The names of the appended events; `None` if nobody asks for them.
    pub(crate) event_types: Option<Vec<&'static str>>,
    /// Whether somebody may read metrics: finding out takes a lock of OpenTelemetry's.
    metered: bool,
}

impl Progress {
    /// Event type names are collected only if the command's span records.
    pub(crate) fn of(span: &Span, metered: bool) -> Self {
        Self { event_types: span.is_recording().then(Vec::new), metered, ..Self::default() }
    }

    fn appended<E: EventSet>(&mut self, events: &[E]) {
        if let Some(types) = &mut self.event_types {
            types.extend(events.iter().map(|event| event.as_event().name()));
        }
    }

    pub(crate) fn type_names(&self) -> impl Iterator<Item = Cow<'static, str>> {
        self.event_types.iter().flatten().map(|name| Cow::Borrowed(*name))
    }
}

impl<A, S: Clone, V> Clone for Repository<A, S, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            services: Arc::clone(&self.services),
            clock: Arc::clone(&self.clock),
            snapshots: Arc::clone(&self.snapshots),
            turns: Arc::clone(&self.turns),
            aggregate: PhantomData,
            ..*self
        }
    }
}

impl<A: Aggregate, S: fmt::Debug, V> fmt::Debug for Repository<A, S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("aggregate", &A::NAME).field("store", &self.store).finish_non_exhaustive()
    }
}
