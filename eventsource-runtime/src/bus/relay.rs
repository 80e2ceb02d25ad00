//! The relay publishes the store's feed on a bus, so that nothing is lost between commit and publication.
//!
//! A relay is a projection whose effect is that its events are on the bus. It has a projection's checkpoint, lease,
//! retries and partitions; its own part is the store in between, which publishes a batch before the checkpoint moves.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::EventBus;
use super::error::PublishError;
use super::message::Message;
use super::traced::{Traced, Via};
use crate::dispatch::is_own;
use crate::domain::StoredEvent;
use crate::poll::catch_panic;
use crate::projection::{
    Applied, Batch, CheckpointOnly, Events, OnFailure, Projection, ProjectionError, ProjectionOptions,
    ProjectionRunner, ProjectionStore, Projections, Took,
};
use crate::store::{EventStore, Filter, Page, Position, StoreError, StreamId, Version, delegate};
use crate::telemetry::Scope;

/// Publishes every event of a store on a bus. The records that process managers keep for themselves, with the commands
/// that they are to dispatch, stay in the store.
///
/// Every event is published at least once after it was committed, however often processes die, and the events of a
/// stream in order. There is one exception: a relay that stalls for longer than its lease while publishing may publish
/// what it had read after newer events. Messages carry the trace context that is stored with their event, so that a
/// consumer's trace leads straight back to the command. Several relays of one name, in as many processes, share the
/// work by leases: for each partition one publishes, and another takes over when it is gone.
///
/// A published event reaches the groups that exist on the bus, as [`EventBus`] says. On an
/// [`InProcessBus`](super::InProcessBus) those are the groups with a member: subscribe before the relay is spawned, or
/// let the bus [refuse](super::InProcessOptions::refuse_unroutable) what nobody would get. On RabbitMQ a group exists
/// from the start of its first member on, even while it has none: start one of each group once before the relay, as the
/// broker refuses what has no queue, and a group that comes later does not get what was published before.
///
/// While the bus fails or panics, the relay retries forever, and logs that less and less often, with what the bus said;
/// `eventsource.relay.gap` reports how far it is behind. A bus that was shut down stops it, and so does a message that
/// the bus can never take, such as one that is too large, unless it is told to skip those; `eventsource.relay.running`
/// is then 0 until it is shut down.
///
/// ```
/// use eventsource_runtime::bus::{HandlerError, InProcessBus, Received, Relay};
/// use eventsource_runtime::store::MemoryStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let (store, bus) = (MemoryStore::new(), InProcessBus::new());
/// let inventory = bus.subscribe("inventory").handle(|event: Received| async move {
///     println!("{:?} of {:?}", event.event_type(), event.stream());
///     Ok::<_, HandlerError>(())
/// }).await?;
/// let relay = Relay::new("orders to the bus", store, bus.clone()).spawn();
/// // Commands are dispatched on the store.
/// relay.shutdown().await?;
/// inventory.shutdown().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[doc(alias = "outbox")]
#[derive(Debug)]
#[must_use = "nothing is published before `spawn`"]
pub struct Relay<S: ProjectionStore, B: EventBus> {
    name: &'static str,
    runner: ProjectionRunner<PublishingStore<S, B>>,
    options: ProjectionOptions,
}

impl<S: ProjectionStore, B: EventBus> Relay<S, B> {
    /// A relay from a store to a bus. The name is that of its checkpoint: it begins with the first event unless told
    /// otherwise, and continues where the last relay of the name stopped. No projection of the store may have the same,
    /// nor a relay to another bus: they would share the checkpoint, and each would pass over what the other has done.
    pub fn new(name: &'static str, store: S, bus: Traced<B>) -> Self {
        let store =
            PublishingStore { store, bus, filter: Filter::all(), translation: Translation::default(), tracing: true };
        let runner = ProjectionRunner::new(store).relaying(true).patience(Duration::MAX);
        Self { name, runner, options: ProjectionOptions::default() }
    }

    /// Publishes only the events that a filter matches, such as `Filter::all().event::<OrderPlaced>()`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.runner.store.filter = filter;
        self
    }

    /// Publishes what `translate` makes of each event, and nothing of those of which it makes nothing: so that what
    /// others read is not what the store holds, and may stay when that changes. The messages of a stream keep their
    /// order. An event whose translation fails stops the relay before it, unless such events are
    /// [skipped](Self::skip_unpublishable).
    ///
    /// It is called again for each attempt to publish: the message must be the same, with the same id, as one that is
    /// made from [`Message::of`] the event. That leaves the event's metadata in the store; add a header for what others
    /// may see of it.
    ///
    /// ```
    /// use eventsource_runtime::bus::{InProcessBus, Message, Relay};
    /// # use eventsource_runtime::prelude::*;
    /// use eventsource_runtime::store::{Filter, MemoryStore};
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct OrderPlaced { customer: String, cents: u64 }
    ///
    /// #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// #[event(name = "shop.order_placed")]
    /// struct PublicOrderPlaced {
    ///     cents: u64,
    /// }
    ///
    /// let (store, bus) = (MemoryStore::new(), InProcessBus::new());
    /// let relay = Relay::new("public orders", store, bus).filter(Filter::all().event::<OrderPlaced>());
    /// let relay = relay.translate(|event| {
    ///     let placed = event.decode::<OrderPlaced>()?;
    ///     let public = PublicOrderPlaced { cents: placed.cents };
    ///     Ok(Some(Message::of(event).with_event(&public)?))
    /// });
    /// ```
    pub fn translate<F>(mut self, translate: F) -> Self
    where
        F: Fn(&StoredEvent) -> Result<Option<Message>, ProjectionError> + Send + Sync + 'static,
    {
        self.runner.store.translation = Translation(Some(Arc::new(translate)));
        self
    }

    /// The number of parts in which the relay works, each with its streams, checkpoint and lease; 1 by default.
    pub fn partitions(self, partitions: u32) -> Self {
        Self { options: self.options.partitions(partitions), ..self }
    }

    /// How long a relay that is gone keeps others from taking over; 5 seconds by default.
    pub fn lease(self, term: Duration) -> Self {
        Self { runner: self.runner.lease(term), ..self }
    }

    /// As [`ProjectionRunner::owner`].
    pub fn owner(self, owner: impl Into<Arc<str>>) -> Self {
        Self { runner: self.runner.owner(owner), ..self }
    }

    /// Lets a relay that is new to the store begin after a position, without publishing anything before it. If it lies
    /// beyond the head, events up to it are skipped too. By default it begins with the first event.
    ///
    /// One that has a checkpoint continues from there regardless: the call may stay in the code after the first start.
    /// Several processes that start a new relay agree on where the first of them began.
    pub fn begin_after(self, position: Position) -> Self {
        Self { runner: self.runner.begin_after(position), ..self }
    }

    /// The same with the head that the store first reports after [`Relay::spawn`]. What is committed in between may
    /// count as past: if that matters, use `begin_after(store.head().await?)`.
    pub fn begin_now(self) -> Self {
        Self { runner: self.runner.begin_now(), ..self }
    }

    /// Skips messages that the bus can never take, and events that cannot be translated, each with a log record,
    /// instead of stopping.
    pub fn skip_unpublishable(self) -> Self {
        Self { runner: self.runner.on_failure(OnFailure::Skip), ..self }
    }

    /// Switches the spans of what the relay publishes on or off; on by default.
    pub fn enable_tracing(mut self, enabled: bool) -> Self {
        self.runner.store.tracing = enabled;
        self
    }

    /// Switches the relay's own metrics on or off; on by default.
    pub fn enable_metrics(self, enabled: bool) -> Self {
        Self { runner: self.runner.relaying(enabled), ..self }
    }

    /// Starts the relay, in tasks of its own. Like a projection it can be waited for and shut down; what it is
    /// publishing then is dropped after two seconds, and published again by the next relay of the name.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(self) -> Projections {
        self.runner.projection_with(CheckpointOnly(self.name), self.options).spawn()
    }
}

/// The longest that a publication should take: many times what a bus takes to answer.
const LONGEST_BATCH: Duration = Duration::from_millis(250);

/// A store that publishes the batches that it is asked to apply.
#[derive(Clone)]
struct PublishingStore<S, B> {
    store: S,
    bus: Traced<B>,
    filter: Filter,
    translation: Translation,
    tracing: bool,
}

type Translate = dyn Fn(&StoredEvent) -> Result<Option<Message>, ProjectionError> + Send + Sync;

/// What becomes of an event; unless set, it is published as it is.
#[derive(Clone, Default)]
struct Translation(Option<Arc<Translate>>);

impl Translation {
    fn of(&self, event: &StoredEvent) -> Result<Option<Message>, ProjectionError> {
        let Self(Some(translate)) = self else { return Ok(Some(Message::of(event))) };
        let translated = catch_unwind(AssertUnwindSafe(|| translate(event)));
        translated.unwrap_or_else(|panic| Err(ProjectionError::panicked(&*panic)))
    }
}

impl<S: ProjectionStore, B: EventBus> PublishingStore<S, B> {
    /// Publishes events.
    ///
    /// # Errors
    /// A panic of the bus, or the error of the first event at fault, with the position up to which all were published.
    /// An event that is behind another of its stream is not at fault: the other one's result holds the error.
    async fn publish(&self, events: &Events) -> Result<(), ProjectionError> {
        let mut untranslated = None;
        let translated = events.iter().filter(|event| !is_own(&event.event_type)).map_while(|event| {
            let message = self.translation.of(event).map_err(|error| untranslated = Some(error.at(event))).ok()?;
            Some((event, message))
        });
        let translated = translated.filter_map(|(event, message)| Some((event, message?)));
        let (events, messages): (Vec<_>, Vec<_>) = translated.unzip();
        // Not in the scope of the batch, which has no spans: each publication has its own. Tasks of a runner are
        // detached already; detaching them again would make a context for each batch.
        let scope = if self.tracing { Scope::current() } else { Scope::current().muted() };
        // What panics once may not the next time, as what fails.
        let results = catch_panic(scope.run(self.bus.send(messages, Via::Relay))).await;
        let results = results.map_err(|panic| ProjectionError::panicked(&*panic).passing())?;
        let published = events.iter().zip(&results).take_while(|(_, result)| result.is_ok()).last();
        let published = published.map(|(event, _)| event.position);
        let failed = events.iter().zip(results).filter_map(|(event, result)| Some((event, result.err()?)));
        let at_fault = failed.reduce(|first, next| if is_behind(&first.1) { next } else { first });
        let at_fault = at_fault.map(|(event, error)| refused(event, error)).or(untranslated);
        at_fault.map_or(Ok(()), |error| Err(error.keeping(published)))
    }
}

fn is_behind(error: &PublishError) -> bool {
    matches!(error, PublishError::Behind { .. })
}

/// The error for the projection runner: of a bus that was shut down, which ends the relay; of an event that will not go
/// through; or of a failing bus.
fn refused(event: &StoredEvent, error: PublishError) -> ProjectionError {
    match error {
        PublishError::Closed => ProjectionError::from(error).named("closed"),
        error if error.is_permanent() => ProjectionError::from(error).at(event),
        source => {
            let (error_type, stream) = (source.error_type(), event.stream.clone());
            let unpublished = Unpublished { stream, version: event.version, position: event.position, source };
            ProjectionError::from(unpublished).named(error_type).passing()
        }
    }
}

/// A bus did not take an event, for which the event is not to blame.
#[derive(Debug, thiserror::Error)]
#[error("`{stream}` version {version} at position {position} was not published; the relay tries again")]
struct Unpublished {
    stream: StreamId,
    version: Version,
    position: Position,
    source: PublishError,
}

impl<S: ProjectionStore, B: EventBus> EventStore for PublishingStore<S, B> {
    delegate!(store: info append fold read_stream head changed);

    fn read_all(
        &self,
        after: Position,
        _: &Filter,
        limit: usize,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send {
        self.store.read_all(after, &self.filter, limit)
    }
}

impl<S: ProjectionStore, B: EventBus> ProjectionStore for PublishingStore<S, B> {
    type Backend = S::Backend;

    delegate!(store: open_projection lease_projection reset_projection dead_letters settle_dead_letter);

    /// Only whoever stops the relay waits for it.
    fn longest_batch(&self) -> Duration {
        LONGEST_BATCH
    }

    /// Publishes, and only then moves the checkpoint: past the batch, or past the events before the first that was not
    /// published. A bus that takes less than a batch at a time would otherwise get its beginning forever. What another
    /// relay may have published is not published again: after what that one published since, it would be out of order.
    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self::Backend>>,
        mut batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let events = std::mem::take(&mut batch.events);
        if !events.is_empty() {
            batch.held_lease().check(&self.store).await?;
        }
        let begun = Instant::now();
        let Err(error) = self.publish(&events).await else {
            let published = begun.elapsed();
            let applied = self.store.apply_batch(projection, batch, scope).await?;
            let took = applied.took.map(|took| took + Took { steps: published, rest: Duration::ZERO });
            return Ok(Applied { took, ..applied });
        };
        if let Some(published) = error.kept() {
            batch.checkpoint = published;
            self.store.apply_batch(projection, batch, scope).await?;
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::Envelope;

    #[test]
    fn what_could_not_be_published_is_told_by_its_place() {
        let place = (StreamId::new("Order", 42), Version::new(3), Position::new(7));
        let envelope = Envelope::new(uuid::Uuid::now_v7(), place, ("OrderPlaced", 1), Timestamp::from_micros(0));
        let event = StoredEvent::new(envelope, "{}".into());
        assert_eq!(
            refused(&event, PublishError::backend("reach a broker", "gone")).to_string(),
            "`Order-42` version 3 at position 7 was not published; the relay tries again"
        );
        let unroutable = refused(&event, PublishError::Unroutable { destination: "orders".to_owned() });
        assert_eq!((unroutable.error_type(), unroutable.event()), ("unroutable", None));
        let closed = refused(&event, PublishError::Closed);
        assert_eq!((closed.to_string(), closed.event()), (PublishError::Closed.to_string(), None));
        assert_eq!(closed.error_type(), "closed");
    }
}
