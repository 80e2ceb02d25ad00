//! The span and the metrics of each attempt to handle messages.

use std::borrow::Cow;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::describe::{MOST, PROCESS, describe_broker, describe_event_type, describe_messages};
use crate::bus::HandlerError;
use crate::bus::lane::Current;
use crate::bus::propagation::{Propagation, Relation};
use crate::bus::{BusInfo, Intake, Message};
use crate::clock::{Clock, Timestamp};
use crate::store::StreamId;
use crate::telemetry::log::{self, Failed, Group};
use crate::telemetry::{Attributes, BoundedNames, Chain, Kind, Options, Scope, Span, Start, messaging, metrics, names};

/// What became of an attempt to handle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bus) enum Outcome {
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
pub(in crate::bus) struct Ended<'a> {
    pub(in crate::bus) outcome: Outcome,
    pub(in crate::bus) error: Option<&'a HandlerError>,
    /// How long it took, if measured.
    pub(in crate::bus) elapsed: Option<Duration>,
}

/// The spans and metrics of one subscription.
#[derive(Debug)]
pub(in crate::bus) struct Processing {
    pub(super) info: BusInfo,
    pub(super) group: Arc<str>,
    /// The group as metrics name it.
    pub(super) measured_group: Arc<str>,
    pub(super) propagation: Propagation,
    pub(super) tracing: bool,
    pub(super) metrics: bool,
    pub(super) clock: Arc<dyn Clock>,
    /// The destinations that are kept apart.
    pub(super) destinations: Arc<BoundedNames>,
}

impl Processing {
    pub(in crate::bus) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(in crate::bus) fn group(&self) -> Group<'_> {
        Group { target: self.info.target, name: &self.group }
    }

    /// What a gauge tells of the subscription; `None` of one of dead letters, which ends by itself, and without metrics.
    pub(in crate::bus) fn running(&self, intake: &Intake) -> Option<Arc<metrics::Told>> {
        let is_told = self.metrics && !intake.dead_letters;
        is_told.then(|| messaging::running(&self.info, &self.measured_group)).flatten()
    }

    /// Whether messages stay within the process.
    pub(in crate::bus) fn is_in_process(&self) -> bool {
        self.info.system.is_none()
    }

    /// Whether anybody reads the measurements here. None of them is logged as slow.
    pub(in crate::bus) fn is_measured(&self) -> bool {
        self.metrics && metrics::are_recorded()
    }

    /// Counts delivered messages, and what is odd about them.
    pub(in crate::bus) fn consumed<S>(&self, batch: &[Current<S>]) {
        if batch.is_empty() {
            return;
        }
        messaging::consumed(&self.info, &self.measured_group, self.at(batch), batch.len() as u64);
        let now = self.now();
        for current in batch {
            if current.received.has_malformed_context() {
                metrics::context_malformed("bus");
            }
            if current.sent_at.is_some_and(|sent_at| sent_at > now) {
                messaging::clock_skew();
            }
        }
    }

    /// Where a batch came from, as one name.
    fn place<'a, S>(&'a self, batch: &'a [Current<S>]) -> &'a Arc<str> {
        let mut each = batch.iter().map(|current| &current.source.name);
        match each.next() {
            // Mostly that of the bus.
            Some(first) if *first != self.info.destination => {
                let is_one = each.all(|other| other == first) && self.destinations.knows(first);
                if is_one { first } else { &self.info.destination }
            }
            _ => &self.info.destination,
        }
    }

    /// The same with the partition, if all are of one.
    fn at<'a, S>(&'a self, batch: &'a [Current<S>]) -> (&'a str, Option<i32>) {
        let mut each = batch.iter().map(|current| Some(current.source.place?.partition));
        let first = each.next().flatten();
        (self.place(batch), first.filter(|_| each.all(|other| other == first)))
    }

    /// The span of one attempt to handle messages.
    pub(in crate::bus) fn span<S>(&self, batch: &[Current<S>]) -> Span {
        let start =
            Start::of(|| self.tracing, || self.named(batch)).room(MOST).options(|options| self.hang(options, batch));
        start.begin(&mut |known| self.describe(batch, known), &mut |_| ())
    }

    fn named<S>(&self, batch: &[Current<S>]) -> (Cow<'static, str>, Kind) {
        match self.info.system {
            None => (names::EVENT_BUS_HANDLE.into(), Kind::Internal),
            Some(_) => ([names::PROCESS_PREFIX, self.place(batch)].concat().into(), Kind::Consumer),
        }
    }

    fn hang<'a, S>(&self, options: &mut Options, batch: &'a [Current<S>]) {
        options.root();
        let with_context = |each: &'a Current<S>| Some((each, each.received.trace_context()?));
        let mut carrying = batch.iter().filter_map(with_context).peekable();
        if carrying.peek().is_none() {
            return;
        }
        let now = self.now();
        for (current, context) in carrying {
            match self.propagation.relation(&current.received, current.sent_at, now) {
                Relation::Ignore => continue,
                // A span has one parent at most.
                Relation::Parent if batch.len() == 1 => options.parent(&*current.received),
                Relation::Parent | Relation::Link => {}
            }
            options.link_message(context, current.received.id());
        }
        if is_replayed(batch) {
            options.replay();
        }
    }

    fn describe<S>(&self, batch: &[Current<S>], known: &mut Attributes) {
        if let Some(system) = self.info.system {
            describe_broker(&self.info, (system, PROCESS), self.place(batch), known);
            known.shared(names::MESSAGING_CONSUMER_GROUP_NAME, &self.group);
            match batch {
                [current] => describe_messages(system, &current.source, slice::from_ref(&*current.received), known),
                _ => known.number(names::MESSAGING_BATCH_MESSAGE_COUNT, batch.len() as u64),
            }
        } else {
            known.shared(names::EVENTSOURCE_HANDLER_NAME, &self.group);
            if batch.len() > 1 {
                known.number(names::EVENTSOURCE_BATCH_SIZE, batch.len() as u64);
            }
        }
        let replayed = is_replayed(batch);
        if replayed {
            known.flag(names::EVENTSOURCE_REPLAY, true);
        }
        if let [Current { received: message, .. }] = batch {
            describe_event_type(message, known);
            known.record(names::EVENTSOURCE_AGGREGATE_TYPE, &message.stream().map(StreamId::aggregate_type));
            known.record(names::EVENTSOURCE_AGGREGATE_ID, &message.stream().map(StreamId::aggregate_id));
            known.record(names::EVENTSOURCE_EVENT_RECORDED_AT, &message.occurred_at().filter(|_| replayed));
        }
    }

    /// Ends the span of an attempt, and counts it.
    pub(in crate::bus) fn ended<S>(&self, span: Span, batch: &[Current<S>], ended: Ended<'_>) {
        span.record(&mut |later| {
            later.number(names::EVENTSOURCE_RETRY_COUNT, u64::from(attempt_of(batch)));
            later.text(names::EVENTSOURCE_OUTCOME, ended.outcome.as_str());
        });
        if let Some(elapsed) = ended.elapsed {
            let error_type = ended.error.map(HandlerError::error_type);
            messaging::processed(&self.info, &self.measured_group, self.at(batch), error_type, elapsed);
        }
        let Some(error) = ended.error else { return span.succeed() };
        let error_type = error.error_type();
        span.in_scope(|| self.failed(batch, &ended, error_type));
        let (name, _) = self.named(batch);
        span.fail(Failed::new(self.info.target, &name), error_type.to_owned(), &Chain(error.cause()));
    }

    /// A message that failed for good is reported once it is known whether it was stored.
    fn failed<S>(&self, batch: &[Current<S>], ended: &Ended<'_>, error_type: &str) {
        if ended.outcome == Outcome::DeadLetter {
            return;
        }
        let message = match batch {
            [current] => Some(&*current.received),
            _ => None,
        };
        log::message_retried(self.group(), message, attempt_of(batch) + 1, error_type);
        if self.metrics {
            metrics::retry("bus", error_type);
        }
    }

    /// Reports, in the scope of its last attempt, that a message is a dead letter or can never be one.
    pub(in crate::bus) fn dead_lettered(&self, scope: &Scope, message: &Message, error_type: &str) {
        scope.in_scope(|| {
            log::dead_lettered(self.group(), message, error_type);
            if self.metrics {
                metrics::dead_letters("bus", error_type, 1);
            }
        });
    }
}

fn is_replayed<S>(batch: &[Current<S>]) -> bool {
    batch.iter().any(|current| current.received.is_replayed())
}

/// A batch is handled for the first time.
fn attempt_of<S>(batch: &[Current<S>]) -> u32 {
    batch.first().map_or(0, |current| current.received.attempt())
}
