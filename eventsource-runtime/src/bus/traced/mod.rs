//! The spans and metrics of every bus: one decorator, and nothing in the buses themselves.

mod describe;
mod process;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use self::describe::{MOST, describe_published, describe_sent};
pub(super) use self::process::{Ended, Outcome, Processing};
use super::error::PublishError;
use super::message::Message;
use super::propagation::Propagation;
use super::subscription::SubscriptionBuilder;
use super::{BusInfo, Destination, EventBus, Health, Intake, Published};
use crate::clock::{self, Clock};
use crate::dispatch::Handled;
use crate::telemetry::log::Failed;
use crate::telemetry::{
    self, BoundedNames, Chain, Kind, Span, Start, TraceContext, Unanswered, messaging, metrics, names,
};

/// A bus with its spans and metrics.
///
/// Brokers have the spans `send {destination}` and `process {destination}`, an in-process bus has `event_bus.publish`
/// and `event_bus.handle`. A message carries the context of the span that published it. Results are those of the inner
/// bus, whatever happens to the telemetry. Cloning is as cheap as cloning the inner bus.
#[derive(Clone)]
pub struct Traced<B> {
    inner: B,
    tracing: bool,
    metrics: bool,
    clock: Arc<dyn Clock>,
    /// What the gauges query, once they know of it.
    health: Arc<OnceLock<Option<Arc<dyn Health>>>>,
    /// The destinations that are kept apart. On a broker with routing keys a producer may have one per message.
    destinations: Arc<BoundedNames>,
}

/// What spans and metrics report of the messages of a call.
struct Told {
    info: BusInfo,
    destination: Destination,
}

impl<B> Traced<B> {
    /// Adds spans and metrics to a bus; both are on.
    #[must_use]
    pub fn over(inner: B) -> Self {
        Self {
            inner,
            tracing: true,
            metrics: true,
            clock: clock::system(),
            health: Arc::default(),
            destinations: Arc::default(),
        }
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

    /// Takes the time from `clock`: for a message's age, and for when a dead letter was set aside
    /// ([`header::DEAD_LETTER_AT`](super::header::DEAD_LETTER_AT)).
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
    /// Publishes a message and waits until it is confirmed.
    ///
    /// # Errors
    /// It was not published, or the bus cannot tell. If the future is dropped, it may have been published.
    pub async fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.send(vec![message], Via::Caller).await.swap_remove(0)
    }

    /// Publishes messages, those of one stream in order, and waits until all are confirmed.
    ///
    /// # Errors
    /// The first error: a message was not published, or the bus cannot tell; no later one of its stream was. Others may
    /// have been: [`publish_each`](Self::publish_each) tells which.
    pub async fn publish_all(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Published>, PublishError> {
        self.publish_each(messages).await.into_iter().collect()
    }

    /// The same, with the result of each message, in the messages' order: those with an error are to be published
    /// again, and no others.
    ///
    /// Once a message could not be published, each later one of its stream is
    /// [`PublishError::Behind`]. If the future is dropped, any of them may have been published.
    pub async fn publish_each(
        &self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Result<Published, PublishError>> {
        self.send(messages.into_iter().collect(), Via::Caller).await
    }

    /// A subscription as a member of a group. Each group gets every message, each member a share of them.
    pub fn subscribe(&self, group: impl Into<Arc<str>>) -> SubscriptionBuilder<B> {
        SubscriptionBuilder::new(self.clone(), Intake::of(group))
    }

    /// A subscription to the dead letters of a group, which are retried: those that are there now, each once. A message
    /// that fails for good again goes back. Its spans are linked to the message's own trace.
    ///
    /// The order of a stream is not kept: the stream went on without the letter, so that later messages of it were
    /// handled before, or are handled at the same time by the group's other members. A handler to which that matters
    /// must compare [`version`](super::Message::version) with what it has stored.
    ///
    /// A letter that its handler publishes becomes a message like any other, without the headers of a dead letter.
    ///
    /// If two such subscriptions run at once, in process and on RabbitMQ each letter goes to one; one that goes back
    /// may reach the other too. On Kafka a letter cannot be claimed: two such subscriptions each retry every letter,
    /// and one that fails in both is then in the topic twice, so run only one. With
    /// [`event_types`](SubscriptionBuilder::event_types), Kafka rewrites the letters that are skipped to the end of the
    /// topic; two running together would bring back letters that the other has already dealt with.
    #[doc(alias = "dead letter queue")]
    pub fn retry_dead_letters(&self, group: impl Into<Arc<str>>) -> SubscriptionBuilder<B> {
        let intake = Intake { dead_letters: true, ..Intake::of(group) };
        SubscriptionBuilder::new(self.clone(), intake)
    }

    /// Sends messages, and has a result for each.
    pub(in crate::bus) async fn send(&self, messages: Vec<Message>, via: Via) -> Vec<Result<Published, PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let traced = self.tracing && telemetry::is_on();
        let begun = (self.metrics && metrics::are_recorded()).then(Instant::now);
        let told = (traced || begun.is_some()).then(|| self.told(&messages));
        let span = match &told {
            Some(told) if traced => self.send_span(told, &messages, via),
            _ => no_span(),
        };
        let messages = match via {
            Via::Caller => in_context(&span, messages),
            Via::Relay => messages,
        };
        let count = messages.len();
        let measured = begun.zip(told.as_ref());
        let unanswered = Unanswered::new(|error_type| {
            if let Some((begun, Told { info, destination })) = measured {
                messaging::unanswered(info, &destination.name, count as u64, error_type, begun.elapsed());
            }
        });
        let mut results = span.run(self.inner.publish(messages)).await;
        unanswered.answered();
        // What the bus does not tell of is not known to be published: a relay would pass over it.
        results.resize_with(count, || Err(PublishError::backend("publish a message", "the bus gave no result for it")));
        if let Some((begun, Told { info, destination })) = measured {
            messaging::sent(info, &destination.name, &results, begun.elapsed());
        }
        if let Some(told) = &told {
            span.record(&mut |later| describe_published(&told.info, &results, later));
        }
        if results.iter().any(Result::is_err) {
            results = self.about(results);
        }
        match results.iter().find_map(|result| result.as_ref().err()) {
            // A relay tells what it tries again.
            Some(error) if via == Via::Relay => span.fail_unlogged(error.error_type(), &Chain(error)),
            Some(error) => {
                let info = self.inner.info();
                let destination = told.as_ref().map_or(&info.destination, |told| &told.destination.name);
                let (name, _) = send_name(&info, destination);
                span.fail(Failed::new(info.target, &name), error.error_type(), &Chain(error));
            }
            None => span.succeed(),
        }
        results
    }

    /// Adds to failures where the messages were to go.
    fn about(&self, results: Vec<Result<Published, PublishError>>) -> Vec<Result<Published, PublishError>> {
        let destination = self.inner.info().destination;
        let about = || format!("to `{destination}`; publish the message again, it may come twice");
        results.into_iter().map(|result| result.map_err(|error| error.about(about))).collect()
    }

    /// On first use, has the gauges query the bus's health: those of the current scope, if any.
    fn observe(&self, info: &BusInfo) {
        if self.metrics {
            self.health.get_or_init(|| self.inner.health().inspect(|health| messaging::observe(info.system, health)));
        }
    }

    fn told(&self, messages: &[Message]) -> Told {
        let info = self.inner.info();
        self.observe(&info);
        let destination = self.destination(&info, messages);
        Told { info, destination }
    }

    /// The destination that all messages share, or else that of the whole bus.
    fn destination(&self, info: &BusInfo, messages: &[Message]) -> Destination {
        let mut each = messages.iter().map(|message| self.inner.destination(message));
        let mut first = each.next().unwrap_or_default();
        // Compares names: brokers have few, and most batches are of one.
        if !each.all(|other| other.name == first.name) {
            return Destination::new(Arc::clone(&info.destination));
        }
        if first.name != info.destination && !self.destinations.knows(&first.name) {
            first.name = Arc::clone(&info.destination);
        }
        first
    }

    fn send_span(&self, told: &Told, messages: &[Message], via: Via) -> Span {
        let named = || send_name(&told.info, &told.destination.name);
        let start = Start::of(|| true, named).room(MOST).options(|options| {
            if via == Via::Relay {
                options.root();
                for message in messages {
                    if let Some(context) = message.trace_context() {
                        options.link_event(context, message.id());
                    }
                }
            }
        });
        start.begin(&mut |known| describe_sent(told, self.inner.handlers(), messages, known), &mut |_| ())
    }

    pub(in crate::bus) fn processing(&self, intake: &Intake, propagation: Propagation) -> Processing {
        let info = self.inner.info();
        self.observe(&info);
        Processing {
            info,
            group: Arc::clone(&intake.group),
            measured_group: messaging::group(&intake.group),
            propagation,
            tracing: self.tracing,
            metrics: self.metrics,
            clock: Arc::clone(&self.clock),
            destinations: Arc::clone(&self.destinations),
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

/// The name and the kind of the span of a publication.
fn send_name(info: &BusInfo, destination: &str) -> (Cow<'static, str>, Kind) {
    match info.system {
        None => (names::EVENT_BUS_PUBLISH.into(), Kind::Internal),
        Some(_) => ([names::SEND_PREFIX, destination].concat().into(), Kind::Producer),
    }
}

/// No span if spans are off, and none of ours below if those of the bus are off. Never one, whatever the process-wide
/// switch says by now.
fn no_span() -> Span {
    Start::new("", Kind::Producer, || false).begin(&mut |_| (), &mut |_| ())
}

/// Where the messages to be sent come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bus) enum Via {
    /// The caller: they carry the context of the span that sends them.
    Caller,
    /// The store's feed: they carry the context that is stored with their event.
    Relay,
}

/// Gives messages the context of the span that sends them, or of the nearest live one if that is off. Without any, they
/// keep what they came with, but for a dead letter that its handler sends on; one that is put back stays one.
fn in_context(span: &Span, messages: Vec<Message>) -> Vec<Message> {
    let (context, is_sent_on) = (span.in_scope(TraceContext::current), Handled::is_any());
    let sent = |message: Message| {
        let message = if is_sent_on { message.sent_on() } else { message };
        if context.is_some() { message.with_trace_context(context.clone()) } else { message }
    };
    messages.into_iter().map(sent).collect()
}
