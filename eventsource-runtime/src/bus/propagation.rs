//! How a handler's span relates to the trace that a message carries.

use std::time::Duration;

use super::handler::Received;
use crate::clock::Timestamp;

/// The age from which a message is no longer part of the trace that sent it.
const FRESH: Duration = Duration::from_mins(2);

/// How a message's trace context is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Relation {
    /// As the parent, and as a link as well; for one of several messages as a link only.
    Parent,
    /// As a link; the span starts a new trace.
    Link,
    /// Not at all; the span starts a new trace.
    Ignore,
}

/// How the spans of a subscription relate to the traces that its messages carry.
///
/// By `default()` a message that is delivered for the first time and younger than two minutes continues its trace. Its
/// age counts from when it was published, on RabbitMQ and by default on Kafka by the publisher's clock, or else from
/// when its event was recorded. One that is older, redelivered or replayed has a new trace with a link, so that no
/// trace grows forever. With [`Propagation::link`] every message has a new trace with a link. A subscription on the
/// in-process bus uses `link()`, one on a broker `default()`, unless it is given
/// [another](super::SubscriptionBuilder::propagation).
///
/// A batch of several messages has a new trace with a link to each, except to those whose context is ignored. Whether a
/// context is sampled is never changed; flags that version 00 of the standard does not have are not sent on. Baggage is
/// not read: it stays in the header `baggage`, which a handler that trusts its producers may read.
///
/// ```
/// # use eventsource_runtime::bus::{Propagation, Relation};
/// let partners = Propagation::default().untrusted();
/// let quiet = Propagation::default().fresh(Relation::Link).ignore_stale();
/// # let _ = (partners, quiet);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "hand it to `SubscriptionBuilder::propagation`"]
pub struct Propagation {
    fresh: Relation,
    stale: Relation,
    max_age: Duration,
    trusted: bool,
}

impl Default for Propagation {
    fn default() -> Self {
        Self { fresh: Relation::Parent, stale: Relation::Link, max_age: FRESH, trusted: true }
    }
}

impl Propagation {
    /// A new trace with a link, whatever the message's age: what a subscription uses in process.
    pub fn link() -> Self {
        Self::default().fresh(Relation::Link)
    }

    /// How the context of a fresh message that is delivered for the first time is used.
    pub fn fresh(self, fresh: Relation) -> Self {
        Self { fresh, ..self }
    }

    /// Ignores the context of messages that are old, redelivered or replayed.
    pub fn ignore_stale(self) -> Self {
        Self { stale: Relation::Ignore, ..self }
    }

    /// The age up to which a message is fresh; two minutes by default. Where the publisher's clock is behind by more,
    /// none is. After [`link`](Self::link) or [`untrusted`](Self::untrusted) it has no effect, since fresh messages and
    /// others are treated alike, unless [`ignore_stale`](Self::ignore_stale) is called too.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Declares that the producers must not decide on our traces: each message starts a new one, with a link.
    pub fn untrusted(self) -> Self {
        Self { trusted: false, ..self }
    }

    /// How the context of one message is used.
    pub(super) fn relation(&self, message: &Received, sent_at: Option<Timestamp>, now: Timestamp) -> Relation {
        let age = sent_at.or(message.occurred_at()).map_or(0.0, |sent_at| now.seconds_since(sent_at));
        let fresh = !message.is_redelivered() && !message.is_replayed() && age <= self.max_age.as_secs_f64();
        match if fresh { self.fresh } else { self.stale } {
            Relation::Parent if !self.trusted => Relation::Link,
            relation => relation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Message, header};
    use crate::store::StreamId;

    const NOW: Timestamp = Timestamp::from_micros(1_792_000_000_000_000);

    fn seconds_ago(seconds: i64) -> Timestamp {
        Timestamp::from_micros(NOW.as_micros() - seconds * 1_000_000)
    }

    fn received(redelivered: bool, replayed: bool) -> Received {
        Received::new(Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}"), redelivered, replayed)
    }

    #[test]
    fn only_what_is_fresh_first_and_trusted_is_a_parent() {
        let policy = Propagation::default();
        let first = received(false, false);
        assert_eq!(policy.relation(&first, Some(seconds_ago(119)), NOW), Relation::Parent);
        // Its clock is ahead of ours.
        assert_eq!(policy.relation(&first, Some(seconds_ago(-3600)), NOW), Relation::Parent);
        assert_eq!(policy.relation(&first, None, NOW), Relation::Parent);
        assert_eq!(policy.relation(&first, Some(seconds_ago(121)), NOW), Relation::Link);
        assert_eq!(policy.relation(&received(true, false), Some(seconds_ago(1)), NOW), Relation::Link);
        let mut again = first.clone();
        again.attempted(1);
        assert_eq!(policy.relation(&again, Some(seconds_ago(1)), NOW), Relation::Link);
        assert_eq!(policy.relation(&received(false, true), Some(seconds_ago(1)), NOW), Relation::Link);
        let put_back = first.clone().into_message().with_header(header::DEAD_LETTER_ATTEMPTS, "6");
        assert_eq!(policy.relation(&Received::new(put_back, false, false), None, NOW), Relation::Link);
        assert_eq!(policy.clone().untrusted().relation(&first, Some(seconds_ago(1)), NOW), Relation::Link);
        assert_eq!(policy.ignore_stale().relation(&first, Some(seconds_ago(121)), NOW), Relation::Ignore);
    }

    #[test]
    fn without_a_brokers_time_the_events_own_counts() {
        let old = Message::new(StreamId::new("Order", 1), "OrderPlaced", "{}").with_occurred_at(seconds_ago(600));
        let old = Received::new(old, false, false);
        assert_eq!(Propagation::default().relation(&old, None, NOW), Relation::Link);
        assert_eq!(Propagation::default().relation(&old, Some(seconds_ago(1)), NOW), Relation::Parent);
    }
}
