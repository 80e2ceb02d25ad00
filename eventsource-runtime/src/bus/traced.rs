//! The spans and metrics of every bus: one decorator, and nothing in the buses themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{HandlerError, PublishError};
use super::handler::Received;
use super::lane::Current;
use super::message::Message;
use super::propagation::{Propagation, Relation};
use super::subscription::Subscription;
use super::{BusInfo, Destination, EventBus, Intake, Published};
use crate::clock::{self, Clock, Timestamp};
use crate::store::StreamId;
use crate::telemetry::{self, Attributes, Kind, Options, Span, Start, TraceContext, log, messaging, metrics, names};

const SEND: &str = "send";
const PROCESS: &str = "process";

/// A bus with its spans and metrics.
///
/// Brokers have the spans `send {destination}` and `process {destination}`, a bus within the process has
/// `event_bus.publish` and `event_bus.handle`. A message that is published carries the context of the span that published
/// it. Results are those of the inner bus, whatever becomes of the telemetry. Cloning is as cheap as cloning the inner
/// bus.
#[derive(Clone, Debug)]
pub struct Traced<B> {
    inner: B,
    tracing: bool,
    metrics: bool,
    clock: Arc<dyn Clock>,
}

impl<B> Traced<B> {
    /// Adds spans and metrics to a bus; both are on.
    #[must_use]
    pub fn over(inner: B) -> Self {
        Self { inner, tracing: true, metrics: true, clock: clock::system() }
    }

    /// Switches the bus's spans on or off, those of its subscriptions too.
    #[must_use]
    pub fn enable_tracing(self, enabled: bool) -> Self {
        Self { tracing: enabled, ..self }
    }

    /// Switches the bus's metrics on or off, those of its subscriptions too.
    #[must_use]
    pub fn enable_metrics(self, enabled: bool) -> Self {
        Self { metrics: enabled, ..self }
    }

    /// Takes the time, to tell a message's age, from `clock`.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The bus without its telemetry.
    pub const fn inner(&self) -> &B {
        &self.inner
    }
}

impl<B: EventBus> Traced<B> {
    /// Publishes a message and waits until that is confirmed.
    ///
    /// # Errors
    /// It was not published, or the bus cannot tell. A future that is dropped may have published it.
    pub async fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.publish_all([message]).await.map(|published| published.first().copied().unwrap_or_default())
    }

    /// Publishes messages, those of one stream in order, and waits until all are confirmed.
    ///
    /// # Errors
    /// One of them was not published, or the bus cannot tell; of its stream, none after it was. Others may have been.
    pub async fn publish_all(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Published>, PublishError> {
        self.send(messages.into_iter().collect(), Via::Caller).await.into_iter().collect()
    }

    /// A subscription as a member of a group. Each group gets every message, each member a part of them.
    pub fn subscribe(&self, group: impl Into<Arc<str>>) -> Subscription<B> {
        Subscription::new(self.clone(), Intake::of(group))
    }

    /// A subscription to the dead letters of a group, which are tried again: those that are there now, each once. A
    /// message that fails for good again goes back. Its spans are linked to the message's own trace.
    pub fn dead_letters(&self, group: impl Into<Arc<str>>) -> Subscription<B> {
        let intake = Intake { dead_letters: true, ..Intake::of(group) };
        Subscription::new(self.clone(), intake)
    }

    pub(super) async fn send(&self, messages: Vec<Message>, via: Via) -> Vec<Result<Published, PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let info = self.inner.info();
        let destination = self.destination(&info, &messages);
        let span = self.send_span(&info, &destination, &messages, via);
        let messages = match via {
            Via::Caller => in_context(&span, messages),
            Via::Relay => messages,
        };
        let (count, begun) = (messages.len() as u64, Instant::now());
        let results = span.run(self.inner.publish(messages)).await;
        let failed = results.iter().filter_map(|result| result.as_ref().err());
        let error = failed.clone().map(PublishError::error_type).next();
        if self.metrics {
            let failed = failed.count() as u64;
            messaging::sent(&info, &destination.name, (count - failed, failed, error), begun.elapsed());
        }
        match (error, results.as_slice()) {
            (Some(error), _) => {
                span.in_scope(|| log::failure(error));
                span.fail(error);
            }
            (None, results) => {
                if let [Ok(published)] = results {
                    span.record(&mut |later| describe_published(&info, published, later));
                }
                span.succeed();
            }
        }
        results
    }

    /// The destination that all messages share, or what all messages of the bus go to.
    fn destination(&self, info: &BusInfo, messages: &[Message]) -> Destination {
        let mut each = messages.iter().map(|message| self.inner.destination(message));
        let first = each.next().unwrap_or_default();
        // Comparing is for names: brokers have few, and most batches are of one.
        if each.all(|other| other.name == first.name) { first } else { Destination::new(Arc::clone(&info.destination)) }
    }

    fn send_span(&self, info: &BusInfo, destination: &Destination, messages: &[Message], via: Via) -> Span {
        let enabled = self.tracing && telemetry::is_on();
        let start = match info.system {
            None => Start::new(names::EVENT_BUS_PUBLISH, Kind::Internal),
            Some(_) if !enabled => Start::new("", Kind::Producer),
            Some(_) => Start::new(format!("{}{}", names::SEND_PREFIX, destination.name), Kind::Producer),
        };
        let start = start.options(|options| {
            options.enable(self.tracing);
            if via == Via::Relay && enabled {
                options.root();
                for message in messages {
                    link(options, message);
                }
            }
        });
        start.begin(&mut |known| describe_sent(info, destination, messages, known), &mut |_| ())
    }

    pub(super) fn processing(&self, intake: &Intake, propagation: Propagation) -> Processing {
        Processing {
            info: self.inner.info(),
            group: Arc::clone(&intake.group),
            propagation,
            tracing: self.tracing,
            metrics: self.metrics,
            clock: Arc::clone(&self.clock),
        }
    }
}

/// Where messages come from that are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Whoever calls: they carry the context of the span that sends them.
    Caller,
    /// The store's feed: they carry the context that is stored with their event.
    Relay,
}

/// Gives messages the context of the span that sends them; of the nearest live one where that is off.
fn in_context(span: &Span, messages: Vec<Message>) -> Vec<Message> {
    match span.in_scope(TraceContext::current) {
        None => messages,
        Some(context) => {
            messages.into_iter().map(|message| message.with_trace_context(Some(context.clone()))).collect()
        }
    }
}

fn link(options: &mut Options, message: &Message) {
    if let Some(context) = message.trace_context() {
        options.link_message(context, message.id());
    }
}

fn describe_sent(info: &BusInfo, destination: &Destination, messages: &[Message], known: &mut Attributes) {
    if let Some(system) = info.system {
        describe_broker(info, (system, SEND), &destination.name, known);
        describe_messages(system, destination, messages, known);
    } else if messages.len() > 1 {
        known.number(names::EVENTSOURCE_BATCH_SIZE, messages.len() as u64);
    }
    if let [message] = messages {
        known.record(names::EVENTSOURCE_EVENT_TYPE, &message.event_type());
    }
}

fn describe_broker(
    info: &BusInfo,
    (system, operation): (&'static str, &'static str),
    at: &str,
    known: &mut Attributes,
) {
    known.text(names::MESSAGING_SYSTEM, system);
    known.text(names::MESSAGING_OPERATION_NAME, operation);
    known.text(names::MESSAGING_OPERATION_TYPE, operation);
    known.string(names::MESSAGING_DESTINATION_NAME, at);
    if let Some((address, port)) = &info.server {
        known.string(names::SERVER_ADDRESS, address);
        known.number(names::SERVER_PORT, u64::from(*port));
    }
}

/// What a broker's conventions say of messages, sent or processed.
fn describe_messages(system: &str, place: &Destination, messages: &[Message], known: &mut Attributes) {
    let [message] = messages else {
        known.number(names::MESSAGING_BATCH_MESSAGE_COUNT, messages.len() as u64);
        return;
    };
    known.record(names::MESSAGING_MESSAGE_ID, &message.id());
    if system == "kafka" {
        known.record(names::MESSAGING_KAFKA_MESSAGE_KEY, &message.stream().map(StreamId::as_str));
    }
    known.record(names::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, &place.routing_key.as_deref());
    describe_place(place.place, known);
}

fn describe_place(place: Option<super::Place>, attributes: &mut Attributes) {
    if let Some(place) = place {
        attributes.string(names::MESSAGING_DESTINATION_PARTITION_ID, &place.partition.to_string());
        attributes.record(names::MESSAGING_KAFKA_OFFSET, &place.offset);
    }
}

fn describe_published(info: &BusInfo, published: &Published, later: &mut Attributes) {
    if info.system.is_none() {
        later.record(names::EVENTSOURCE_HANDLER_COUNT, &published.handlers);
    }
    describe_place(published.place, later);
}

/// What became of an attempt to handle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ack,
    Retry,
    DeadLetter,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Retry => "retry",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy)]
pub(super) struct Ended<'a> {
    pub(super) outcome: Outcome,
    pub(super) attempt: u32,
    pub(super) error: Option<&'a HandlerError>,
    pub(super) elapsed: Duration,
}

/// The spans and metrics of one subscription.
#[derive(Debug)]
pub(super) struct Processing {
    info: BusInfo,
    group: Arc<str>,
    propagation: Propagation,
    tracing: bool,
    metrics: bool,
    clock: Arc<dyn Clock>,
}

impl Processing {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Counts messages that were delivered, and what is odd about them.
    pub(super) fn consumed<S>(&self, batch: &[Current<S>]) {
        if !self.metrics {
            return;
        }
        messaging::consumed(&self.info, &self.group, self.place(batch), batch.len() as u64);
        let now = self.now();
        for current in batch {
            if current.received.has_malformed_context() {
                metrics::context_malformed("bus");
            }
            if current.taken.delivery.sent_at.is_some_and(|sent_at| sent_at > now) {
                messaging::clock_skew();
            }
        }
    }

    /// Where a batch came from, as one name.
    fn place<'a, S>(&'a self, batch: &'a [Current<S>]) -> &'a str {
        let mut each = batch.iter().map(|current| &current.taken.delivery.source.name);
        match each.next() {
            Some(first) if each.all(|other| other == first) => first,
            _ => &self.info.destination,
        }
    }

    /// The span of one attempt, in which `messages` are handled.
    pub(super) fn span<S>(&self, batch: &[Current<S>], messages: &[Received]) -> Span {
        let enabled = self.tracing && telemetry::is_on();
        let start = match self.info.system {
            None => Start::new(names::EVENT_BUS_HANDLE, Kind::Internal),
            Some(_) if !enabled => Start::new("", Kind::Consumer),
            Some(_) => Start::new(format!("{}{}", names::PROCESS_PREFIX, self.place(batch)), Kind::Consumer),
        };
        let start = start.options(|options| {
            options.enable(self.tracing);
            if enabled {
                self.hang(options, batch, messages);
            }
        });
        start.begin(&mut |known| self.describe(batch, messages, known), &mut |_| ())
    }

    fn hang<S>(&self, options: &mut Options, batch: &[Current<S>], messages: &[Received]) {
        options.root();
        let relation = match (batch, messages) {
            ([current], [message]) => self.propagation.relation(message, current.taken.delivery.sent_at, self.now()),
            _ => self.propagation.of_batch(),
        };
        if relation == Relation::Ignore {
            return;
        }
        if let (Relation::Parent, [message]) = (relation, messages) {
            options.parent(&**message);
        }
        for message in messages {
            link(options, message);
        }
        if messages.iter().any(Received::is_replayed) {
            options.replay();
        }
    }

    fn describe<S>(&self, batch: &[Current<S>], messages: &[Received], known: &mut Attributes) {
        if let Some(system) = self.info.system {
            describe_broker(&self.info, (system, PROCESS), self.place(batch), known);
            known.string(names::MESSAGING_CONSUMER_GROUP_NAME, &self.group);
            match (batch, messages) {
                ([current], [message]) => {
                    let place = &current.taken.delivery.source;
                    describe_messages(system, place, std::slice::from_ref(&**message), known);
                }
                _ => known.number(names::MESSAGING_BATCH_MESSAGE_COUNT, messages.len() as u64),
            }
        } else {
            known.string(names::EVENTSOURCE_HANDLER_NAME, &self.group);
            if messages.len() > 1 {
                known.number(names::EVENTSOURCE_BATCH_SIZE, messages.len() as u64);
            }
        }
        let replayed = messages.iter().any(Received::is_replayed);
        if replayed {
            known.flag(names::EVENTSOURCE_REPLAY, true);
        }
        if let [message] = messages {
            known.record(names::EVENTSOURCE_EVENT_TYPE, &message.event_type());
            known.record(names::EVENTSOURCE_AGGREGATE_TYPE, &message.stream().map(StreamId::aggregate_type));
            known.record(names::EVENTSOURCE_AGGREGATE_ID, &message.stream().map(StreamId::aggregate_id));
            known.record(names::EVENTSOURCE_EVENT_RECORDED_AT, &message.occurred_at().filter(|_| replayed));
        }
    }

    /// Ends the span of an attempt, and counts it.
    pub(super) fn ended<S>(&self, span: Span, batch: &[Current<S>], ended: Ended<'_>) {
        let error_type = ended.error.map(HandlerError::error_type);
        span.record(&mut |later| {
            later.number(names::EVENTSOURCE_RETRY_COUNT, u64::from(ended.attempt));
            later.text(names::EVENTSOURCE_OUTCOME, ended.outcome.as_str());
        });
        if self.metrics {
            messaging::processed(&self.info, &self.group, self.place(batch), error_type, ended.elapsed);
        }
        let Some(error_type) = error_type else { return span.succeed() };
        span.in_scope(|| self.failed(batch, &ended, error_type));
        span.fail(error_type.to_owned());
    }

    fn failed<S>(&self, batch: &[Current<S>], ended: &Ended<'_>, error_type: &str) {
        log::failure(error_type);
        if ended.outcome == Outcome::DeadLetter {
            for current in batch {
                log::dead_lettered(&self.group, current.received.id(), error_type);
            }
            if self.metrics {
                metrics::dead_letters("bus", error_type, batch.len() as u64);
            }
        } else {
            log::message_retried(&self.group, ended.attempt + 1, error_type);
            if self.metrics {
                metrics::retry("bus", error_type);
            }
        }
    }
}
