//! What a subscriber asks for, and how it is started.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::BusError;
use super::handler::{BatchHandler, Handler, InBatches, MessageHandler, OneByOne};
use super::lane::Handling;
use super::propagation::Propagation;
use super::running::{self, Subscription};
use super::traced::Traced;
use super::tries::Retries;
use super::{EventBus, Intake};
use crate::dispatch::BoxFuture;
use crate::domain::{Event, names_of};

/// How often a message is retried before it becomes a dead letter.
const RETRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(5);

/// Boxed, since of a future whose type has the handler in it each use would report again what is wrong with that.
type Subscribing = BoxFuture<'static, Result<Subscription, BusError>>;

/// A subscription that is being set up; created by [`Traced::subscribe`] or [`Traced::retry_dead_letters`].
#[must_use = "nothing is subscribed before `handle`"]
pub struct SubscriptionBuilder<B: EventBus> {
    bus: Traced<B>,
    intake: Intake,
    event_types: Option<Arc<[String]>>,
    lanes: usize,
    retries: Retries,
    timeout: Option<Duration>,
    propagation: Propagation,
}

impl<B: EventBus> SubscriptionBuilder<B> {
    pub(super) fn new(bus: Traced<B>, intake: Intake) -> Self {
        let in_process = bus.inner().info().system.is_none();
        let propagation = if in_process { Propagation::link() } else { Propagation::default() };
        let retries =
            Retries { most: RETRIES, first_pause: FIRST_PAUSE, longest_pause: LONGEST_PAUSE, patience: PATIENCE };
        Self { bus, intake, event_types: None, lanes: 1, retries, timeout: None, propagation }
    }

    /// Handles only messages of events of this type, under its stored name or one of its aliases, and of the types that
    /// were named before. Others are acknowledged unhandled; dead letters of other types stay where they are.
    pub fn event<E: Event>(self) -> Self {
        let known = self.event_types.iter().flat_map(|names| names.iter().cloned());
        let names: Vec<_> = known.chain(names_of::<E>().map(str::to_owned)).collect();
        self.event_types(names)
    }

    /// The same with stored names, whatever was named before. An alias is a name of its own here.
    pub fn event_types<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        Self { event_types: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// The number of lanes that handle messages concurrently; 1 by default. Messages of one stream stay in one lane. No
    /// more than [`prefetch`](Self::prefetch) have a message at a time: more lanes than that have no effect.
    pub fn lanes(self, lanes: usize) -> Self {
        Self { lanes: lanes.max(1), ..self }
    }

    /// How many messages may be in flight, taken and not done; 256 by default. On RabbitMQ the time in which one is done
    /// limits it: `RabbitMqOptions::delivery_limit` tells how.
    pub fn prefetch(mut self, messages: u16) -> Self {
        self.intake.prefetch = messages.max(1);
        self
    }

    /// How long one call of the handler may take; without end by default. One that takes longer is dropped where it
    /// waits, and has failed with the error type `timeout`. A call that never ends holds up its lane, and all lanes once
    /// what waits behind it is all that may be in flight. One that blocks its thread cannot be dropped.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// How often a failed message is retried before it becomes a dead letter; 5 by default. While the handler fails for
    /// the trouble of what it needs, [`patience`](Self::patience) counts instead.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.retries.most = retries;
        self
    }

    /// The pause before a retry: the first one, which doubles up to the longest; 50 milliseconds and 5 seconds by
    /// default. Meanwhile the later messages of its lane wait. Storing a dead letter is retried at the same pauses,
    /// without end.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.retries.first_pause = first;
        self.retries.longest_pause = longest;
        self
    }

    /// How long each message is retried while its handler fails because something that it needs is in trouble, such as
    /// a store that is unreachable or failing; 5 minutes by default. A shutdown does not wait for that: such a message,
    /// and what came behind it in its lane, is redelivered.
    ///
    /// Trouble is told by the type of the handler's error or of one of its causes, such as that of a command. These are
    /// recognised by themselves:
    ///
    /// - a [`StoreError`](crate::store::StoreError) that is not [permanent](crate::store::StoreError::is_permanent);
    /// - with the feature `sqlite`, a `rusqlite::Error` of `store::rusqlite`, the version that this crate uses, and with
    ///   `postgres` a `PostgresError`, or a `tokio_postgres::Error` of `store::tokio_postgres`: those that say that the
    ///   database is busy, full or gone;
    /// - [`PublishError::Closed`](super::PublishError::Closed) and [`BusError::Closed`], since a bus that is shut down
    ///   says nothing of the message.
    ///
    /// All others, such as those of `sqlx`, `diesel`, another version of a driver, an HTTP client or a broker, cost the
    /// message a retry unless the handler fails with [`HandlerError::trouble`](super::HandlerError::trouble). A call
    /// that took longer than its [`timeout`](Self::timeout) is no trouble.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.retries.patience = patience;
        self
    }

    /// How spans relate to the traces that the messages carry: [`Propagation::link`] on the in-process bus, and
    /// `Propagation::default()` on a broker, unless this is called.
    pub fn propagation(self, propagation: Propagation) -> Self {
        Self { propagation, ..self }
    }

    /// Subscribes, and handles messages one by one in tasks of its own until it is shut down.
    ///
    /// # Errors
    /// The bus cannot be subscribed to.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn handle<H: MessageHandler>(self, handler: H) -> Subscribing {
        Box::pin(self.start(OneByOne(handler), 1))
    }

    /// Subscribes, and handles messages in batches of up to `most`: those available, without waiting for more. At least
    /// as many may be in flight, up to 65,535, whatever [`prefetch`](Self::prefetch) says.
    ///
    /// # Errors
    /// The bus cannot be subscribed to.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn handle_batches<H: BatchHandler>(self, most: usize, handler: H) -> Subscribing {
        let prefetch = self.intake.prefetch.max(u16::try_from(most).unwrap_or(u16::MAX));
        Box::pin(self.prefetch(prefetch).start(InBatches(handler), most.max(1)))
    }

    async fn start<H: Handler>(self, handler: H, most: usize) -> Result<Subscription, BusError> {
        let consumer = self.bus.inner().subscribe(self.intake.clone()).await.map_err(|error| {
            let (group, info) = (&self.intake.group, self.bus.inner().info());
            error.about(|| format!("group `{group}` of `{}`; subscribe again when the bus answers", info.destination))
        })?;
        let handling = Handling {
            telemetry: self.bus.processing(&self.intake, self.propagation),
            retries: self.retries,
            timeout: self.timeout,
            most,
            event_types: self.event_types,
            intake: self.intake,
        };
        Ok(running::start(consumer, Arc::new(handling), handler, self.lanes))
    }
}

impl<B: EventBus> fmt::Debug for SubscriptionBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionBuilder")
            .field("intake", &self.intake)
            .field("lanes", &self.lanes)
            .field("propagation", &self.propagation)
            .finish_non_exhaustive()
    }
}
