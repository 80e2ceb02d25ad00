//! The end of the feed as this process knows it, and the tasks that wait for it to move.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::Position;
use crate::poll::told;

/// The position of the last event known to be committed. While nobody waits, moving it costs two atomic operations.
#[derive(Debug, Default)]
pub(super) struct Head {
    position: AtomicU64,
    waiting: AtomicUsize,
    moved: Notify,
}

impl Head {
    /// Moves the head forward and wakes the waiters. It never moves it back.
    pub(super) fn publish(&self, position: Position) {
        self.position.fetch_max(position.get(), Ordering::SeqCst);
        // In one total order with the two steps of `beyond`: either the waiter sees the head, or this sees the waiter.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.moved.notify_waiters();
        }
    }

    /// The known position.
    #[cfg(feature = "postgres")]
    pub(super) fn known(&self) -> Position {
        Position::new(self.position.load(Ordering::SeqCst))
    }

    /// Moves the head back from `known`, its value before the feed was read, if the feed ends earlier: a failover may
    /// lose commits, and waiters would then be woken without end.
    #[cfg(feature = "postgres")]
    pub(super) fn refute(&self, known: Position, end: Position) {
        if end < known {
            let _ = self.position.compare_exchange(known.get(), end.get(), Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// Waits until the head is beyond a position.
    pub(super) async fn beyond(&self, position: Position) {
        let _waiting = Waiting::new(&self.waiting);
        told(&self.moved, || (self.position.load(Ordering::SeqCst) > position.get()).then_some(())).await;
    }
}

/// Counts one waiter, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
