//! The spans and metrics of every bus: one decorator, and nothing in the buses themselves.

mod describe;
mod process;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use self::describe::{describe_published, describe_sent, link};
pub(super) use self::process::{Ended, Outcome, Processing};
use super::error::PublishError;
use super::message::Message;
use super::propagation::Propagation;
use super::subscription::Subscription;
use super::{BusInfo, Destination, EventBus, Health, Intake, Published};
use crate::clock::{self, Clock};
use crate::telemetry::{self, Kind, Span, Start, TraceContext, log, messaging, names};

/// A bus with its spans and metrics.
///
/// Brokers have the spans `send {destination}` and `process {destination}`, a bus within the process has
/// `event_bus.publish` and `event_bus.handle`. A message that is published carries the context of the span that published
/// it. Results are those of the inner bus, whatever becomes of the telemetry. Cloning is as cheap as cloning the inner
/// bus.
#[derive(Clone)]
pub struct Traced<B> {
    inner: B,
    tracing: bool,
    metrics: bool,
    clock: Arc<dyn Clock>,
    /// What the gauges ask, once they know of it.
    health: Arc<OnceLock<Option<Arc<dyn Health>>>>,
}

impl<B> Traced<B> {
    /// Adds spans and metrics to a bus; both are on.
    #[must_use]
    pub fn over(inner: B) -> Self {
        Self { inner, tracing: true, metrics: true, clock: clock::system(), health: Arc::default() }
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
    /// message that fails for good again goes back. Its spans are linked to the message's own trace. On Kafka have one
    /// process do it: of two at the same time each tries all of them.
    pub fn dead_letters(&self, group: impl Into<Arc<str>>) -> Subscription<B> {
        let intake = Intake { dead_letters: true, ..Intake::of(group) };
        Subscription::new(self.clone(), intake)
    }

    pub(in crate::bus) async fn send(&self, messages: Vec<Message>, via: Via) -> Vec<Result<Published, PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let info = self.inner.info();
        self.observe(&info);
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

    /// Has the gauges ask for the bus's health, from its first use on: then telemetry is set up.
    fn observe(&self, info: &BusInfo) {
        if let (Some(system), true) = (info.system, self.metrics) {
            self.health.get_or_init(|| self.inner.health().inspect(|health| messaging::observe(system, health)));
        }
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

    pub(in crate::bus) fn processing(&self, intake: &Intake, propagation: Propagation) -> Processing {
        let info = self.inner.info();
        self.observe(&info);
        Processing {
            info,
            group: Arc::clone(&intake.group),
            propagation,
            tracing: self.tracing,
            metrics: self.metrics,
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Traced<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, tracing, metrics, .. } = self;
        f.debug_struct("Traced")
            .field("inner", inner)
            .field("tracing", tracing)
            .field("metrics", metrics)
            .finish_non_exhaustive()
    }
}

/// Where messages come from that are to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bus) enum Via {
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
