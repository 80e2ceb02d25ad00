//! Buses carry events to other parts of a process, and to other processes.
//!
//! [`EventBus`] is the port: publish, and subscribe as a member of a group. A bus delivers at least once, and keeps the
//! order of the messages of one stream. [`InProcessBus`] delivers within the process; `KafkaBus` comes with the feature
//! `kafka`, `RabbitMqBus` with `rabbitmq`. What follows a delivery is the same on all of them and is implemented here,
//! not in the adapters: retries, dead letters, trace context, spans and metrics.
//!
//! ```
//! use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
//! use eventsource_runtime::store::StreamId;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let bus = InProcessBus::new();
//! let inventory = bus.subscribe("inventory").handle(|message: Received| async move {
//!     assert_eq!(message.event_type(), Some("OrderPlaced"));
//!     Ok::<_, HandlerError>(())
//! }).await?;
//! bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await?;
//! inventory.shutdown().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod as_event;
mod behind;
#[cfg(any(feature = "kafka", feature = "rabbitmq"))]
mod brokers;
mod counts;
mod error;
mod handler;
mod handler_error;
pub mod header;
mod headers;
mod in_process;
mod info;
#[cfg(feature = "kafka")]
mod kafka;
mod lane;
mod message;
mod propagation;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod relay;
mod running;
mod set_aside;
mod stopped;
mod subscription;
mod traced;
mod tries;
mod wire;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;

pub use as_event::MessageError;
pub(crate) use error::is_closed;
pub use error::{BusError, PublishError};
pub use handler::{BatchHandler, MessageHandler, Received};
pub use handler_error::HandlerError;
pub use headers::Headers;
pub use in_process::{InProcess, InProcessBus, InProcessOptions, SlowSubscriber};
pub use info::{BusInfo, Health, Lag};
#[cfg(feature = "kafka")]
pub use kafka::{Kafka, KafkaBus, KafkaOptions};
pub use message::Message;
pub use propagation::{Propagation, Relation};
#[cfg(feature = "rabbitmq")]
pub use rabbitmq::{RabbitMq, RabbitMqBus, RabbitMqOptions};
pub use relay::Relay;
pub use running::{Subscription, Tally};
pub use stopped::{MessagesLeft, SubscriptionStopped};
pub use subscription::SubscriptionBuilder;
pub use traced::Traced;

use crate::clock::Timestamp;

/// A bus. To implement your own, wrap it in [`Traced`], which adds retries, dead letters, spans and metrics.
///
/// A bus around another forwards every method, the provided ones too. Without `health`, say, the gauges of its broker
/// are missing.
///
/// A bus guarantees that a message whose publication was confirmed reaches every group that exists at that time, at
/// least once, and that the messages of one stream reach a group in the order in which they were published. On a broker
/// a group exists from its first subscription on; on Kafka it even gets what was published before. On the in-process
/// bus it exists while it has a member: what is published before, between and after its subscriptions does not reach it.
pub trait EventBus: Clone + Send + Sync + 'static {
    /// What a member of a group takes messages from.
    type Consumer: Consumer;

    /// How telemetry describes the bus.
    fn info(&self) -> BusInfo;

    /// The health of the bus, for gauges; `None` if unknown.
    fn health(&self) -> Option<Arc<dyn Health>> {
        None
    }

    /// Where a message would go.
    fn destination(&self, message: &Message) -> Destination;

    /// How many groups of subscribers a message published now would reach, for spans that are about to start; `None` if
    /// unknown.
    fn handlers(&self) -> Option<u64> {
        None
    }

    /// Publishes messages and waits until each is confirmed; the results are in the messages' order. A message without
    /// a result counts as not published.
    ///
    /// Once a message could not be published, no later message of its stream is. If the future is dropped, any number
    /// of the messages may have been published, and the others still may be.
    ///
    /// # Errors
    /// In a message's own result:
    /// - [`PublishError::too_large`] or [`PublishError::invalid`] for what can never be published: a relay leaves its
    ///   event to the policy of its runner;
    /// - [`PublishError::behind`] for a message behind another of its stream that was not published;
    /// - [`PublishError::full`], [`unroutable`](PublishError::unroutable), [`refused`](PublishError::refused),
    ///   [`denied`](PublishError::denied), [`timed_out`](PublishError::timed_out) or [`backend`](PublishError::backend) for what may be published later: a
    ///   relay tries again;
    /// - [`PublishError::Closed`] once the bus is shut down, which stops a relay.
    ///
    /// None of them may quote the message.
    fn publish(&self, messages: Vec<Message>) -> impl Future<Output = Vec<Result<Published, PublishError>>> + Send;

    /// Joins a group, and creates it if it is new.
    ///
    /// # Errors
    /// [`BusError::Configuration`] for a group or settings that cannot work, [`BusError::Closed`] once the bus is shut
    /// down, [`BusError::backend`] if the broker cannot be reached or refuses. The caller of
    /// [`SubscriptionBuilder::handle`] gets it.
    fn subscribe(&self, intake: Intake) -> impl Future<Output = Result<Self::Consumer, BusError>> + Send;
}

/// A member of a group. Dropping it leaves the group; what it has not settled goes to another member, or waits.
///
/// A consumer around another forwards every method, the provided ones too. Without `attend`, say, a member is put out
/// of its group on Kafka while a slow message is handled.
pub trait Consumer: Send + 'static {
    /// How a delivery is settled.
    type Settle: Settle;

    /// The next delivery, as soon as there is one; `None` after [`Consumer::stop`], or at the end of the dead letters.
    /// A dropped future loses nothing.
    ///
    /// # Errors
    /// Nothing can be taken any more, and the subscription stops: a lost connection that may come back is waited for in
    /// here.
    fn next(&mut self) -> impl Future<Output = Result<Option<Delivery<Self::Settle>>, BusError>> + Send;

    /// The next deliveries, as soon as there is one: those available, up to `most`, appended to `taken`. Appends none
    /// if [`Consumer::next`] would return `None`. A dropped future loses nothing. The default takes one at a time.
    ///
    /// # Errors
    /// As [`Consumer::next`]. What it has appended by then is dropped unsettled.
    fn next_batch(
        &mut self,
        _most: usize,
        taken: &mut Vec<Delivery<Self::Settle>>,
    ) -> impl Future<Output = Result<(), BusError>> + Send {
        async {
            taken.extend(self.next().await?);
            Ok(())
        }
    }

    /// Keeps the member's place in the group while there is no room for another message, and while the last ones are
    /// handled after it was stopped. It never returns, and a dropped future loses nothing.
    fn attend(&mut self) -> impl Future<Output = Infallible> + Send {
        pending()
    }

    /// Takes no more messages. `next` still returns those that nobody else would get.
    fn stop(&mut self);

    /// Leaves the group once all is settled, and waits, within bounds, until the bus knows of it.
    fn leave(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async { drop(self) }
    }
}

/// Tells a bus the outcome of one delivery. If dropped unsettled, the message is redelivered, at the latest when the
/// consumer is dropped.
///
/// Something around another forwards every method, the provided ones too. Without `reject`, say, a message that cannot
/// be kept among the dead letters is acknowledged on RabbitMQ, and lost.
pub trait Settle: Send + Sync + 'static {
    /// Whether the message goes to another member and must not be handled here; asked before each attempt. A bus that
    /// does not know this risks only the order: the other member may be further than this one.
    fn is_lost(&self) -> bool {
        false
    }

    /// Acknowledges the message.
    ///
    /// # Errors
    /// [`BusError::Lost`] if the message has gone to another member, [`BusError::backend`] if the broker could not be
    /// told. Neither is retried: the message is redelivered, and the log says so.
    fn ack(self) -> impl Future<Output = Result<(), BusError>> + Send;

    /// Acknowledges messages of one lane, in their order; returns an error for each that could not be settled. A lane
    /// settles together what its handler finished without waiting for anything.
    #[must_use]
    fn ack_all(done: Vec<Self>) -> impl Future<Output = Vec<BusError>> + Send
    where
        Self: Sized,
    {
        async {
            let mut failed = Vec::new();
            for one in done {
                failed.extend(one.ack().await.err());
            }
            failed
        }
    }

    /// The message has failed for good and can never be stored as a dead letter: it is left to the broker. If that
    /// keeps acknowledged messages, acknowledging is all there is to do.
    ///
    /// # Errors
    /// As [`Settle::ack`].
    fn reject(self) -> impl Future<Output = Result<(), BusError>> + Send
    where
        Self: Sized,
    {
        self.ack()
    }

    /// Stores a message durably among the group's dead letters; to be followed by [`Settle::ack`], or by
    /// [`Settle::reject`] if it can never be stored.
    ///
    /// # Errors
    /// [`BusError::unkeepable`] if it can never be stored. Any other error is retried without end, with the lane waiting,
    /// until the message goes to another member.
    fn park(&self, message: &Message) -> impl Future<Output = Result<(), BusError>> + Send;
}

/// A message that was delivered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery<S> {
    /// The message.
    pub message: Message,
    /// Messages with the same lane are handled in order.
    pub lane: u64,
    /// Whether it was delivered before, as far as the bus knows.
    pub redelivered: bool,
    /// When it was published, by the publisher's clock: on Kafka the record's timestamp, which is the broker's own if
    /// the topic has `message.timestamp.type=LogAppendTime`; on RabbitMQ the property `timestamp`, in whole seconds,
    /// which a plug-in of the broker may overwrite, and which a foreign message need not have. `None` in process.
    pub sent_at: Option<Timestamp>,
    /// Where it came from.
    pub source: Destination,
    /// How to settle it.
    pub settle: S,
}

impl<S> Delivery<S> {
    /// A delivery of a message from a destination: the first as far as the bus knows, in a lane of its stream, and
    /// without a time. Those are set afterwards.
    #[must_use]
    pub fn new(message: Message, source: Destination, settle: S) -> Self {
        Self { lane: message.order_key(), message, redelivered: false, sent_at: None, source, settle }
    }

    /// The same delivery, settled in another way: for a bus around another. What it is settled with forwards every
    /// method of [`Settle`], the provided ones too: `reject`, say, does not only acknowledge on every bus.
    #[must_use]
    pub fn map<T>(self, settle: impl FnOnce(S) -> T) -> Delivery<T> {
        let Self { message, lane, redelivered, sent_at, source, settle: inner } = self;
        Delivery { message, lane, redelivered, sent_at, source, settle: settle(inner) }
    }
}

/// Where a message goes to, or came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// `messaging.destination.name`: of low cardinality, no ids in it.
    pub name: Arc<str>,
    /// The routing key, if the broker has them.
    pub routing_key: Option<Arc<str>>,
    /// The place in a partition, if the broker has them.
    pub place: Option<Place>,
}

impl Destination {
    /// A destination of that name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), routing_key: None, place: None }
    }
}

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl Place {
    /// An offset in a partition.
    #[must_use]
    pub const fn new(partition: i32, offset: i64) -> Self {
        Self { partition, offset }
    }
}

/// The outcome of a publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The place in a partition, if the broker has them.
    pub place: Option<Place>,
}

impl Published {
    /// Published to a place in a partition.
    #[must_use]
    pub const fn at(place: Place) -> Self {
        Self { place: Some(place) }
    }
}

/// What a member of a group asks for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Intake {
    /// The group: each message goes to one of its members.
    pub group: Arc<str>,
    /// The group's dead letters, up to those present now, instead of its messages.
    pub dead_letters: bool,
    /// How many unsettled messages may be in flight to the member.
    pub prefetch: u16,
}

impl Intake {
    /// The messages of a group.
    #[must_use]
    pub fn of(group: impl Into<Arc<str>>) -> Self {
        Self { group: group.into(), dead_letters: false, prefetch: 256 }
    }
}
