//! The end of the feed as this process knows it, and the tasks that wait for it to move.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::Position;
use crate::poll::told;

/// The position of the last event known to be committed. While nobody waits, moving it costs two atomic operations.
#[derive(Debug, Default)]
pub(super) struct Head {
    position: AtomicU64,
    waiting: AtomicUsize,
    closed: AtomicBool,
    moved: Notify,
}

impl Head {
    /// Moves the head forward and wakes the waiters. It never moves it back. What does not move it wakes nobody: those
    /// who wait publish what they find.
    pub(super) fn publish(&self, position: Position) {
        let before = self.position.fetch_max(position.get(), Ordering::SeqCst);
        // In one total order with the two steps of `beyond`: either the waiter sees the head, or whoever has moved it
        // sees the waiter.
        if before < position.get() && self.waiting.load(Ordering::SeqCst) > 0 {
            self.moved.notify_waiters();
        }
    }

    /// Ends all waiting, now and later: the store is closed.
    #[cfg(feature = "sqlite")]
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.moved.notify_waiters();
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

    /// Waits until the head is beyond a position, or the store is closed.
    pub(super) async fn beyond(&self, position: Position) {
        let _waiting = Waiting::new(&self.waiting);
        let is_over = || self.position.load(Ordering::SeqCst) > position.get() || self.closed.load(Ordering::SeqCst);
        told(&self.moved, || is_over().then_some(())).await;
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Of appends that are made side by side the first one may be published last.
    #[test]
    fn what_is_published_late_hides_nothing_that_came_before() {
        let (head, mut task) = (Head::default(), Context::from_waker(Waker::noop()));
        head.publish(Position::new(7));
        head.publish(Position::new(6));
        assert!(pin!(head.beyond(Position::new(6))).poll(&mut task).is_ready());
    }

    /// Each of many that waited at an idle store woke all the others, ten times a second.
    #[test]
    fn only_what_moves_the_head_wakes_those_that_wait() {
        let (head, woken) = (Head::default(), Arc::new(Woken::default()));
        let waker = Arc::clone(&woken).into();
        let mut task = Context::from_waker(&waker);
        head.publish(Position::new(7));
        let mut waiter = pin!(head.beyond(Position::new(7)));
        assert!(waiter.as_mut().poll(&mut task).is_pending());
        for known in [7, 6, 0] {
            head.publish(Position::new(known));
        }
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        head.publish(Position::new(8));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(waiter.poll(&mut task).is_ready());
    }
}
