//! How many messages a subscription has under way, and what became of those that it had.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::error::BusError;
use crate::telemetry::log::{self, Group};
use crate::telemetry::{Chain, error_text};

/// How long messages that went to another member are summed up before they are reported.
const LOSING_FOR: Duration = Duration::from_secs(1);

/// What became of the messages of a subscription.
#[derive(Debug, Default)]
pub(super) struct Counts {
    target: &'static str,
    group: Arc<str>,
    taken: AtomicU64,
    settled: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) unkeepable: AtomicU64,
    /// Messages that went to another member and are not reported yet, and that there are some.
    lost: AtomicU64,
    losing: Notify,
    /// Whether a lane leaves its messages to others.
    left: AtomicBool,
    /// Something was settled.
    room: Notify,
}

impl Counts {
    pub(super) fn of(Group { target, name }: Group<'_>) -> Self {
        Self { target, group: name.into(), ..Self::default() }
    }

    fn group(&self) -> Group<'_> {
        Group { target: self.target, name: &self.group }
    }

    pub(super) fn taken(&self, messages: usize) {
        self.taken.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Messages are done, one way or another, and make room for as many.
    pub(super) fn settled(&self, messages: usize) {
        self.settled.fetch_add(messages as u64, Ordering::Relaxed);
        self.room.notify_one();
    }

    /// A lane leaves its messages to others.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether one does.
    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// How many were taken and are not done.
    pub(super) fn under_way(&self) -> u64 {
        self.taken.load(Ordering::Relaxed).saturating_sub(self.settled.load(Ordering::Relaxed))
    }

    /// Waits until fewer than `most` messages are in flight; returns how many more may be. For the one task that takes
    /// them.
    pub(super) async fn room(&self, most: u16) -> u64 {
        loop {
            match u64::from(most).saturating_sub(self.under_way()) {
                0 => self.room.notified().await,
                room => return room,
            }
        }
    }

    /// Reports why a message could not be settled. Many may go to another member at a time, when a group is rebalanced
    /// or a connection is lost.
    pub(super) fn unsettled(&self, error: &BusError) {
        match error {
            BusError::Lost => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.losing.notify_one();
            }
            error => log::messages_unsettled(self.group(), 1, error.error_type()),
        }
    }

    /// Reports why a message could not be stored as a dead letter: at first, and then less and less often.
    pub(super) fn not_kept(&self, error: &BusError, retry: u32) {
        if (retry + 1).is_power_of_two() {
            log::dead_letter_waits(self.group(), error.error_type(), error_text(&Chain(error)).as_deref());
        }
    }

    /// Logs the messages that went to another member, all of a period in one line.
    pub(super) async fn tell_losses(&self) -> Infallible {
        loop {
            self.losing.notified().await;
            tokio::time::sleep(LOSING_FOR).await;
            self.tell_lost();
        }
    }

    pub(super) fn tell_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            log::messages_unsettled(self.group(), lost, BusError::Lost.error_type());
        }
    }
}
