//! What ended before all was handled.

use super::error::BusError;

/// A subscription has stopped, or did not end in time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionStopped {
    /// Nothing more could be taken from the bus, or the bus panicked while it settled a message.
    #[error("the subscription of `{group}` stopped; mend the cause and subscribe again")]
    #[non_exhaustive]
    Failed {
        /// The group.
        group: String,
        /// What went wrong.
        source: BusError,
    },
    /// Messages already taken were not done at the shutdown's deadline; they are redelivered if the bus keeps them.
    #[error(
        "the subscription of `{group}` left {left} messages when its time was up; a bus that keeps them delivers them again"
    )]
    #[non_exhaustive]
    Aborted {
        /// The group.
        group: String,
        /// How many were taken and not settled.
        left: u64,
    },
}

impl SubscriptionStopped {
    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        let (Self::Failed { group, .. } | Self::Aborted { group, .. }) = self;
        group
    }

    /// Whether it cannot help to subscribe again on the same bus: see [`BusError::is_permanent`]. Nor does it if that
    /// bus was shut down.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if source.is_permanent() || matches!(source, BusError::Closed))
    }

    /// A short, stable name for telemetry: of what went wrong, or `aborted`.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Failed { source, .. } => source.error_type(),
            Self::Aborted { .. } => "aborted",
        }
    }
}

/// An in-process bus was shut down before its subscribers had handled all messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bus left {left} messages when its time was up; give it more, or see what holds up their handlers")]
#[non_exhaustive]
pub struct MessagesLeft {
    /// How many were left: a message counts once for each group that had neither handled it nor stored it as a dead
    /// letter.
    pub left: usize,
}

impl MessagesLeft {
    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        "aborted"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::PublishError;

    #[test]
    fn a_subscription_that_stopped_tells_its_group_and_a_name_for_what_went_wrong() {
        let failed = SubscriptionStopped::Failed { group: "inbox".into(), source: BusError::Lost };
        assert_eq!((failed.group(), failed.error_type()), ("inbox", "lost"));
        let aborted = SubscriptionStopped::Aborted { group: "outbox".into(), left: 3 };
        assert_eq!((aborted.group(), aborted.error_type()), ("outbox", "aborted"));
        assert!(!aborted.is_permanent());
    }

    #[test]
    fn what_a_bus_cannot_do_it_cannot_do_later() {
        // Of the bus that is shut down nothing comes any more, while another may take the same message.
        let stopped = |source| SubscriptionStopped::Failed { group: "inbox".into(), source };
        let too_long = PublishError::too_large("inbox.dead", 2, 1);
        assert!(stopped(BusError::Closed).is_permanent() && !BusError::Closed.is_permanent());
        for lasts in [BusError::Configuration("no dots".into()), BusError::unkeepable(too_long)] {
            assert!(lasts.is_permanent() && stopped(lasts).is_permanent());
        }
        for passes in [BusError::Lost, BusError::backend("reach a broker", "gone")] {
            assert!(!passes.is_permanent() && !stopped(passes).is_permanent());
        }
    }
}
