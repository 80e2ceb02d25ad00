//! The write side of one aggregate: load, decide, append, and again where somebody else was faster.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{self, Clock};
use crate::dispatch::{Committed, Context, DispatchError};
use crate::domain::{Aggregate, Command, DecodeError, EventRef, EventSet, Handle, IntoEvents};
use crate::store::{
    AppendError, Appended, EventStore, ExpectedVersion, Fold, NewEvent, Origin, Position, StoreError, StreamId,
    Version, Visitor,
};
use crate::telemetry::{Attributes, Kind, Span, Start, log, metrics, names};

/// How often a conflict is retried, unless the repository is told otherwise.
const RETRIES: u32 = 10;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Loads and appends the aggregates of one type. It keeps no state of theirs: every load reads the store.
///
/// Cloning is cheap. Futures may be dropped at any point; an append whose future was dropped may have been made.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Deposited { cents: u64 }
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Deposited))]
/// # struct Account { cents: u64 }
/// # impl Apply<Deposited> for Account { fn apply(&mut self, event: Deposited) { self.cents += event.cents; } }
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
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate as its stream says, and where the stream stood.
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

impl<A: Aggregate, S: EventStore> Repository<A, S> {
    /// A repository over a store, for handlers that need no services.
    pub fn new(store: S) -> Self {
        Self {
            store,
            services: Arc::new(()),
            retries: RETRIES,
            tracing: true,
            metrics: true,
            clock: clock::system(),
            aggregate: PhantomData,
        }
    }
}

impl<A, S, V> Repository<A, S, V> {
    /// Gives the command handlers what they need beside the state.
    pub fn with_services<W>(self, services: W) -> Repository<A, S, W> {
        Repository {
            store: self.store,
            services: Arc::new(services),
            retries: self.retries,
            tracing: self.tracing,
            metrics: self.metrics,
            clock: self.clock,
            aggregate: PhantomData,
        }
    }

    /// Switches `load_aggregate`, `handle_command` and `persist_events` on or off, and every span of ours below them.
    #[must_use]
    pub fn enable_tracing(self, enabled: bool) -> Self {
        Self { tracing: enabled, ..self }
    }

    /// Switches the repository's metrics on or off; independent of tracing.
    #[must_use]
    pub fn enable_metrics(self, enabled: bool) -> Self {
        Self { metrics: enabled, ..self }
    }

    /// How many times a command is decided again after a conflict; 10 unless set. 0 gives every conflict to the caller.
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

impl<A: Aggregate, S: EventStore, V: Send + Sync + 'static> Repository<A, S, V> {
    /// The aggregate's state and version; the default state and 0 if it has no events.
    pub async fn load(&self, id: &A::Id) -> Result<Loaded<A>, StoreError> {
        let stream = StreamId::new(A::NAME, id);
        let replay = self.replay(&stream, Replay::default(), None).await?;
        Ok(replay.into_loaded())
    }

    /// Whether the aggregate has any events.
    pub async fn exists(&self, id: &A::Id) -> Result<bool, StoreError> {
        let stream = StreamId::new(A::NAME, id);
        let span = self.span("aggregate_exists", &stream, &mut |_| ());
        let found = span.run(self.store.read_stream(&stream, Version::START, 1)).await;
        match found {
            Ok(events) => {
                let exists = !events.is_empty();
                span.record(&mut |later| later.flag(names::EVENTSOURCE_AGGREGATE_EXISTS, exists));
                span.succeed();
                Ok(exists)
            }
            Err(error) => Err(failed(span, error, StoreError::error_type)),
        }
    }

    /// Appends events that no command led to. Nothing is decided and nothing retried.
    pub async fn append(
        &self,
        id: &A::Id,
        expected: ExpectedVersion,
        events: impl IntoEvents<A::Event> + Send,
    ) -> Result<Committed, AppendError> {
        let mut list = Vec::new();
        events.into_events(&mut list);
        let cause = Cause { context: Context::default(), command_id: self.clock.new_id(), caused: false };
        let appended = self.persist(&StreamId::new(A::NAME, id), expected, &list, &cause).await?;
        Ok(Committed::new(appended, cause.command_id))
    }

    /// Handles a command: loads, decides, persists; again after a conflict, with what has been appended since.
    pub(crate) async fn handle<C>(&self, command: C, context: Context) -> Result<Handled, DispatchError<A::Error>>
    where
        C: Command<Aggregate = A>,
        A: Handle<C, Services = V>,
    {
        let stream = StreamId::new(A::NAME, command.id());
        let first_event = context.command_id.map(|id| event_id(id, 0));
        let command_id = context.command_id.unwrap_or_else(|| self.clock.new_id());
        let cause = Cause { context, command_id, caused: true };
        let mut replay = Replay::default();
        for retries in 0.. {
            replay = self.replay(&stream, replay, first_event).await?;
            if let Some(earlier) = replay.earlier {
                return Ok(Handled::new(Committed::new(earlier, command_id), Vec::new(), retries));
            }
            let events = self.decide(&stream, &replay.state, command.clone()).await?;
            if events.is_empty() {
                let nothing = Appended::new(replay.version, replay.position, 0);
                return Ok(Handled::new(Committed::new(nothing, command_id), Vec::new(), retries));
            }
            match self.persist(&stream, ExpectedVersion::Exact(replay.version), &events, &cause).await {
                Ok(appended) => {
                    let types = events.iter().map(|event| event.as_event().name()).collect();
                    return Ok(Handled::new(Committed::new(appended, command_id), types, retries));
                }
                Err(AppendError::Conflict(_)) if retries < self.retries => self.pause(C::NAME, retries).await,
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("the loop ends when the retries do")
    }

    async fn pause(&self, command: &'static str, retries: u32) {
        log::command_retried(command, retries + 1);
        if self.metrics {
            metrics::retry("repository", "conflict");
        }
        match retries.checked_sub(1) {
            // Mostly the other append is done by now.
            None => tokio::task::yield_now().await,
            Some(exponent) => tokio::time::sleep(jittered(exponent)).await,
        }
    }

    /// Brings a state up to the stream's end, in a `load_aggregate` span.
    async fn replay(
        &self,
        stream: &StreamId,
        replay: Replay<A>,
        first_event: Option<Uuid>,
    ) -> Result<Replay<A>, StoreError> {
        let span = self.span("load_aggregate", stream, &mut |_| ());
        let fold = Fold { stream: stream.clone(), after: replay.version, first_event };
        let folded = span.run(self.store.fold(fold, replay)).await;
        let result = folded.and_then(|folded| {
            let visited = folded.visited;
            let mut replay = folded.visitor;
            replay.earlier = folded.earlier;
            match replay.error.take() {
                None => Ok((visited, replay)),
                Some(error) => Err(error.into()),
            }
        });
        match result {
            Ok((visited, replay)) => {
                span.record(&mut |later| {
                    later.number(names::EVENTSOURCE_EVENTS_LOADED, visited);
                    later.number(names::EVENTSOURCE_VERSION, replay.version.get());
                    later.flag(names::EVENTSOURCE_SNAPSHOT_USED, false);
                });
                span.succeed();
                if self.metrics {
                    metrics::events_loaded(A::NAME, visited);
                }
                Ok(replay)
            }
            Err(error) => Err(failed(span, error, StoreError::error_type)),
        }
    }

    /// Runs the handler, in a `handle_command` span. A refusal leaves the span without a status.
    async fn decide<C>(
        &self,
        stream: &StreamId,
        state: &A,
        command: C,
    ) -> Result<Vec<A::Event>, DispatchError<A::Error>>
    where
        C: Command<Aggregate = A>,
        A: Handle<C, Services = V>,
    {
        let enabled = self.tracing && state.enable_tracing(&command);
        let span = Start::new("handle_command", Kind::Internal).options(|options| options.enable(enabled)).begin(
            &mut |known| {
                known.text(names::CQRS_SIDE, "write");
                known.text(names::CQRS_COMMAND_TYPE, C::NAME);
                aggregate(stream, known);
            },
            &mut |user| state.attributes(&command, &self.services, user),
        );
        // In the block, so that a plain method runs in the span as well: it has decided when `handle` returns.
        let decided = span.run(async { state.handle(command, &self.services).await }).await;
        match &decided {
            Ok(events) => {
                span.record(&mut |later| later.number(names::CQRS_EVENTS_COUNT, events.len() as u64));
                for (ordinal, event) in events.iter().enumerate() {
                    let event = event.as_event();
                    span.event(ordinal, names::DOMAIN_EVENT_PRODUCED, &mut |attributes| {
                        attributes.text(names::EVENTSOURCE_EVENT_TYPE, event.name());
                        event.record(attributes);
                    });
                }
            }
            Err(refusal) => {
                let error_type = crate::error::error_type(refusal);
                span.record(&mut |later| later.string(names::ERROR_TYPE, &error_type));
            }
        }
        span.succeed();
        decided.map_err(DispatchError::Rejected)
    }

    /// Appends in a `persist_events` span, whose context is stored with each event.
    async fn persist(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: &[A::Event],
        cause: &Cause,
    ) -> Result<Appended, AppendError> {
        let span = self.span("persist_events", stream, &mut |known| {
            known.number(names::EVENTSOURCE_EVENT_COUNT, events.len() as u64);
            known.string(names::EVENTSOURCE_EXPECTED_VERSION, &expected.to_string());
        });
        let appended = span
            .run(async {
                let origin = Arc::new(cause.origin(&*self.clock));
                let encoded = events.iter().enumerate().map(|(ordinal, event)| {
                    NewEvent::encode(event_id(cause.command_id, ordinal as u64), event.as_event(), Arc::clone(&origin))
                });
                let encoded = encoded.collect::<Result<Vec<_>, _>>()?;
                self.store.append(stream, expected, encoded).await
            })
            .await;
        match appended {
            Ok(appended) => {
                persisted(&span, events, &appended);
                span.succeed();
                Ok(appended)
            }
            Err(error) => {
                if self.metrics && matches!(error, AppendError::Conflict(_)) {
                    metrics::append_conflict(A::NAME);
                }
                Err(failed(span, error, AppendError::error_type))
            }
        }
    }

    fn span(&self, name: &'static str, stream: &StreamId, known: &mut dyn FnMut(&mut Attributes)) -> Span {
        Start::new(name, Kind::Internal).options(|options| options.enable(self.tracing)).begin(
            &mut |attributes| {
                attributes.text(names::CQRS_SIDE, "write");
                aggregate(stream, attributes);
                known(attributes);
            },
            &mut |_| (),
        )
    }
}

fn aggregate(stream: &StreamId, attributes: &mut Attributes) {
    attributes.string(names::EVENTSOURCE_AGGREGATE_TYPE, stream.aggregate_type());
    attributes.string(names::EVENTSOURCE_AGGREGATE_ID, stream.aggregate_id());
}

fn persisted<E: EventSet>(span: &Span, events: &[E], appended: &Appended) {
    span.record(&mut |later| later.number(names::EVENTSOURCE_VERSION, appended.version.get()));
    for (ordinal, event) in events.iter().enumerate() {
        // The versions and positions of one append are consecutive.
        let before_last = (events.len() - 1 - ordinal) as u64;
        span.event(ordinal, names::EVENT_PERSISTED, &mut |attributes| {
            attributes.text(names::EVENTSOURCE_EVENT_TYPE, event.as_event().name());
            attributes.number(names::EVENTSOURCE_VERSION, appended.version.get().saturating_sub(before_last));
            attributes.number(names::EVENTSOURCE_POSITION, appended.position.get().saturating_sub(before_last));
        });
    }
}

/// Ends a span with the failure's name and hands the failure on.
fn failed<E>(span: Span, error: E, error_type: impl Fn(&E) -> &'static str) -> E {
    span.fail(error_type(&error));
    error
}

/// A pause that grows with the attempts and differs between tasks, so that they do not collide again.
fn jittered(exponent: u32) -> Duration {
    let pause = Duration::from_millis(1 << exponent.min(6)).min(LONGEST_PAUSE);
    let random = RandomState::new().hash_one(exponent) % 512;
    pause * (512 + u32::try_from(random).unwrap_or_default()) / 1024
}

/// The id of a command's event: the command's id, moved on by the ordinal. A retried command makes the same ids, and
/// those of a version 7 UUID keep its time, so that an index on them grows at its end.
fn event_id(command_id: Uuid, ordinal: u64) -> Uuid {
    /// Odd, so that no two ordinals meet.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    /// The bits below the variant.
    const LOW: u128 = (1 << 62) - 1;
    let id = command_id.as_u128();
    let moved = (id & LOW) + u128::from((ordinal + 1).wrapping_mul(STEP));
    Uuid::from_u128((id & !LOW) | (moved & LOW))
}

/// What led to an append.
struct Cause {
    context: Context,
    command_id: Uuid,
    /// Whether there is a command behind the id.
    caused: bool,
}

impl Cause {
    fn origin(&self, clock: &dyn Clock) -> Origin {
        let caused = self.caused.then_some(self.command_id);
        Origin {
            correlation_id: self.context.correlation_id.or(caused),
            causation_id: caused,
            metadata: self.context.metadata.clone(),
            ..Origin::at(clock.now())
        }
    }
}

/// A handled command, as its span and its caller learn of it.
pub(crate) struct Handled {
    pub(crate) committed: Committed,
    pub(crate) event_types: Vec<&'static str>,
    pub(crate) retries: u32,
}

impl Handled {
    fn new(committed: Committed, event_types: Vec<&'static str>, retries: u32) -> Self {
        Self { committed, event_types, retries }
    }

    /// How many events were appended now, not by an earlier dispatch of the same command.
    pub(crate) fn appended(&self) -> u64 {
        if self.committed.repeated { 0 } else { self.committed.events }
    }

    pub(crate) fn type_names(&self) -> impl Iterator<Item = Cow<'static, str>> {
        self.event_types.iter().map(|name| Cow::Borrowed(*name))
    }
}

/// A state on its way to the stream's end.
struct Replay<A> {
    state: A,
    version: Version,
    position: Position,
    error: Option<DecodeError>,
    earlier: Option<Appended>,
}

impl<A: Default> Default for Replay<A> {
    fn default() -> Self {
        Self { state: A::default(), version: Version::START, position: Position::START, error: None, earlier: None }
    }
}

impl<A> Replay<A> {
    fn into_loaded(self) -> Loaded<A> {
        Loaded { state: self.state, version: self.version, position: self.position }
    }
}

impl<A: Aggregate> Visitor for Replay<A> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        match A::Event::decode(&event) {
            Ok(decoded) => {
                self.state.evolve(decoded);
                self.version = event.version;
                self.position = event.position;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl<A, S: Clone, V> Clone for Repository<A, S, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            services: Arc::clone(&self.services),
            clock: Arc::clone(&self.clock),
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn event_ids_are_the_same_again_and_differ_by_ordinal() {
        let command = Uuid::now_v7();
        let ids: HashSet<_> = (0..1000).map(|ordinal| event_id(command, ordinal)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(!ids.contains(&command));
        assert!(ids.contains(&event_id(command, 7)));
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for exponent in 0..40 {
            let pause = jittered(exponent);
            assert!(pause >= Duration::from_micros(500) && pause <= LONGEST_PAUSE, "{pause:?}");
        }
    }
}
