//! Events of a process that are recorded when they are due.

use std::time::Duration;

use super::reaction::ProcessEvent;
use crate::clock::Timestamp;

/// An event that is recorded when it is due.
pub(crate) struct ScheduledEvent {
    pub(crate) when: When,
    pub(crate) event: Box<dyn ProcessEvent>,
}

/// When an event is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    After(Duration),
    At(Timestamp),
}

impl When {
    pub(crate) fn due(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(delay) => now + delay,
            Self::At(moment) => moment,
        }
    }
}
