//! What brokers forbid to a member: for good, or while somebody changes permissions.

use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::time::Instant;

use super::client::Client;
use super::partitions::Share;

/// After how long a look has told whether a refusal goes on. The client waits for five seconds before it fetches again
/// what is forbidden, and brokers may take a while to answer.
const SOON: Duration = Duration::from_secs(7);
/// The longest time after which it is looked again.
const LATE: Duration = Duration::from_secs(20);
/// How long brokers may take to report whether the topic may be read; less than [`SOON`].
const ASKING: Duration = Duration::from_secs(4);

/// What an error means to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Brokers will never take such a member.
    Final,
    /// A permission is missing: to read the topic, or to be in the group.
    OfTopic,
    OfGroup,
    /// The client goes on by itself.
    Passing,
}

impl Kind {
    pub(super) fn of(code: RDKafkaErrorCode) -> Self {
        use RDKafkaErrorCode as Code;
        match code {
            Code::InconsistentGroupProtocol | Code::InvalidGroupId | Code::InvalidSessionTimeout => Self::Final,
            Code::TopicAuthorizationFailed => Self::OfTopic,
            Code::ClusterAuthorizationFailed | Code::GroupAuthorizationFailed => Self::OfGroup,
            _ => Self::Passing,
        }
    }
}

/// A permission that was missing, and may be still. The client reports it once, and not that it is there again.
pub(super) struct Refusal {
    kind: Kind,
    pub(super) error: KafkaError,
    /// When the member stops, if somebody has looked by then.
    until: Instant,
    /// When it is looked again.
    pub(super) again: Instant,
    /// Whether it was reported since somebody last had the client report it anew.
    reported: bool,
    looked: bool,
}

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is over.
    GoOn,
    /// It has lasted for too long.
    Stop,
    /// The client is to report it anew if it goes on.
    Provoke,
}

impl Refusal {
    pub(super) fn new(kind: Kind, error: KafkaError, now: Instant, patience: Duration) -> Self {
        let again = now + (patience / 4).min(LATE);
        Self { kind, error, until: now + patience, again, reported: true, looked: false }
    }

    /// It is reported again.
    pub(super) fn goes_on(&mut self, kind: Kind, error: KafkaError) {
        (self.kind, self.error, self.reported) = (kind, error, true);
    }

    /// Whether it is over when the topic may be read, as with each message of it.
    pub(super) fn is_of_topic(&self) -> bool {
        self.kind == Kind::OfTopic
    }

    /// To be asked when it is time to look again. `is_member` tells whether the group has taken the member.
    pub(super) fn next(&self, now: Instant, is_member: bool) -> Next {
        match self.kind {
            Kind::OfGroup if is_member => Next::GoOn,
            Kind::OfTopic if !self.reported => Next::GoOn,
            _ if self.looked && now >= self.until => Next::Stop,
            _ => Next::Provoke,
        }
    }

    /// It is looked again later. `provoked` tells whether the client will report it if it goes on; `None` for one that
    /// is paused, of which nothing can be told.
    pub(super) fn later(&mut self, now: Instant, patience: Duration, provoked: Option<bool>) {
        self.again = now + (patience / 4).clamp(SOON, LATE);
        self.looked = true;
        match provoked {
            Some(provoked) => self.reported &= !provoked,
            None => self.until = now + patience,
        }
    }
}

/// Asks brokers whether the topic may be read: a member that fetches nothing hears of it in no other way.
pub(super) fn look(client: &Client, share: &Share) -> KafkaResult<()> {
    let told = client.fetch_metadata(Some(&share.topic), ASKING)?;
    if told.topics().iter().any(|topic| topic.name() == &*share.topic && topic.error().is_none()) {
        share.permitted();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(40);

    fn refusal(code: RDKafkaErrorCode, now: Instant) -> Refusal {
        Refusal::new(Kind::of(code), KafkaError::MessageConsumption(code), now, PATIENCE)
    }

    #[test]
    fn a_refusal_that_is_not_reported_again_is_over() {
        let begun = Instant::now();
        let mut refused = refusal(RDKafkaErrorCode::TopicAuthorizationFailed, begun);
        assert_eq!(refused.again, begun + PATIENCE / 4);
        let mut now = refused.again;
        assert_eq!(refused.next(now, true), Next::Provoke, "it was reported");
        refused.later(now, PATIENCE, Some(true));
        assert_eq!(refused.next(refused.again, true), Next::GoOn, "it was not");
        refused.goes_on(Kind::OfTopic, KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed));
        while refused.next(now, true) == Next::Provoke {
            // Nothing was there that could report it.
            refused.later(now, PATIENCE, Some(false));
            now = refused.again;
        }
        assert_eq!((refused.next(now, true), now), (Next::Stop, begun + PATIENCE));
    }

    #[test]
    fn a_group_that_has_taken_the_member_refuses_it_no_more() {
        let begun = Instant::now();
        let mut refused = refusal(RDKafkaErrorCode::GroupAuthorizationFailed, begun);
        assert_eq!(refused.next(begun + PATIENCE, true), Next::GoOn);
        assert_eq!(refused.next(begun, false), Next::Provoke);
        refused.later(begun, PATIENCE, Some(false));
        assert_eq!(refused.next(begun + PATIENCE, false), Next::Stop);
        assert!(!refused.is_of_topic());
    }

    /// It stopped without having looked.
    #[test]
    fn somebody_looks_before_the_shortest_patience_ends() {
        let begun = Instant::now();
        let error = KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed);
        let mut refused = Refusal::new(Kind::OfTopic, error, begun, Duration::ZERO);
        assert_eq!(refused.next(refused.again, false), Next::Provoke);
        refused.later(begun, Duration::ZERO, Some(true));
        assert_eq!((refused.next(refused.again, false), refused.again), (Next::GoOn, begun + SOON));
        refused.later(begun, Duration::ZERO, Some(false));
        refused.reported = true;
        assert_eq!(refused.next(refused.again, false), Next::Stop);
    }
}
