//! How far a partition is done while it belongs to a member.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::bus::error::BusError;
use crate::poll::told;
use crate::sync::Mutex;

/// The time in which a partition belongs to a member.
pub(super) struct Assignment {
    pub(super) partition: i32,
    progress: Mutex<Progress>,
    /// What is in flight may finish; nothing is begun.
    is_ending: AtomicBool,
    /// How many deliveries are in flight.
    alive: AtomicUsize,
    /// A delivery is no longer in flight.
    dropped: Notify,
}

#[derive(Default)]
struct Progress {
    /// Another member may have it.
    is_over: bool,
    /// The offsets that were taken, in order, up from the first that is not done; each with whether it is. One that is
    /// done stands for all between the one before it and itself: what follows a slow message takes no room.
    taken: VecDeque<(i64, bool)>,
    /// The first that was taken.
    first: Option<i64>,
    /// The one after the last that was taken.
    next: Option<i64>,
    /// The widest gap between two that were taken since somebody last looked.
    gap: Option<(i64, i64)>,
}

impl Progress {
    fn take(&mut self, offset: i64) {
        // If the client went back, everything from there on comes again.
        while self.taken.pop_back_if(|last| last.0 >= offset).is_some() {}
        self.taken.push_back((offset, false));
        self.first.get_or_insert(offset);
        if let Some(expected) = self.next.replace(offset + 1)
            && offset - expected > self.gap.map_or(0, |(from, to)| to - from)
        {
            self.gap = Some((expected, offset));
        }
    }

    fn done(&mut self, offset: i64) {
        // One that is to come again is done then.
        let Ok(at) = self.taken.binary_search_by_key(&offset, |taken| taken.0) else { return };
        self.taken[at].1 = true;
        if self.is_done(at + 1) {
            self.taken.remove(at);
        }
        if at > 0 && self.is_done(at - 1) {
            self.taken.remove(at - 1);
        }
    }

    fn is_done(&self, at: usize) -> bool {
        self.taken.get(at).is_some_and(|taken| taken.1)
    }
}

impl Assignment {
    pub(super) fn new(partition: i32) -> Self {
        Self {
            partition,
            progress: Mutex::default(),
            is_ending: AtomicBool::new(false),
            alive: AtomicUsize::new(0),
            dropped: Notify::new(),
        }
    }

    /// Nothing of it may be begun any more.
    pub(super) fn revoke(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Ends it; false if it was over before.
    pub(super) fn end(&self) -> bool {
        self.revoke();
        !mem::replace(&mut self.progress.lock().is_over, true)
    }

    pub(super) fn is_over(&self) -> bool {
        self.progress.lock().is_over
    }

    /// The first offset that was taken.
    pub(super) fn first(&self) -> Option<i64> {
        self.progress.lock().first
    }

    /// Whether nothing of it may be begun any more.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// A message is in flight from now on, until [`Assignment::dropped`]. Called by whoever polls the client, as is all
    /// that ends an assignment.
    pub(super) fn take(&self, offset: i64) {
        self.alive.fetch_add(1, Ordering::AcqRel);
        self.progress.lock().take(offset);
    }

    /// Messages are done. Stores the last offset before which all are, if that has moved: with a later one, those in
    /// between would be lost if this process died. Under the lock, so that it never moves back.
    pub(super) fn done(
        &self,
        offsets: impl IntoIterator<Item = i64>,
        store: impl FnOnce(i64) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let mut progress = self.progress.lock();
        if progress.is_over {
            return Err(BusError::Lost);
        }
        for offset in offsets {
            progress.done(offset);
        }
        let mut last = None;
        while let Some((offset, _)) = progress.taken.pop_front_if(|first| first.1) {
            last = Some(offset);
        }
        last.map_or(Ok(()), store)
    }

    /// A delivery is no longer in flight, done or not.
    pub(super) fn dropped(&self) {
        if self.alive.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.dropped.notify_waiters();
        }
    }

    /// Whether messages of it are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.alive.load(Ordering::Acquire) > 0
    }

    /// Waits until none is.
    pub(super) async fn quiet(&self) {
        told(&self.dropped, || (!self.is_busy()).then_some(())).await;
    }

    /// How many offsets of the widest gap lie before the first that the partition still has. Brokers have others of
    /// their own, and compaction leaves gaps.
    pub(super) fn missing(&self, begin: i64) -> u64 {
        let gap = self.progress.lock().gap.take();
        gap.and_then(|(from, to)| u64::try_from(begin.min(to) - from).ok()).unwrap_or_default()
    }

    /// The first offset that is not done.
    pub(super) fn position(&self) -> Option<i64> {
        let progress = self.progress.lock();
        progress.taken.front().map(|(offset, _)| *offset).or(progress.next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Settles an offset; returns what was stored.
    fn done(assignment: &Assignment, offset: i64) -> Option<i64> {
        let mut stored = None;
        assignment
            .done([offset], |offset| {
                stored = Some(offset);
                Ok(())
            })
            .unwrap();
        stored
    }

    #[test]
    fn an_offset_is_stored_only_when_all_before_it_are_done_with() {
        let assignment = Assignment::new(0);
        // Some offsets are the broker's own.
        for offset in [10, 11, 13, 14] {
            assignment.take(offset);
        }
        assert_eq!(done(&assignment, 11), None);
        assert_eq!(done(&assignment, 14), None);
        assert_eq!(assignment.position(), Some(10));
        assert_eq!(done(&assignment, 10), Some(11));
        assert_eq!(assignment.position(), Some(13));
        assert_eq!(done(&assignment, 13), Some(14));
        assert_eq!(assignment.position(), Some(15));
    }

    /// What was taken before the client went back counted, and all that lies before it with it.
    #[test]
    fn where_the_client_went_back_nothing_is_passed_that_was_not_taken_since() {
        let assignment = Assignment::new(0);
        for offset in [10, 11, 3, 4] {
            assignment.take(offset);
        }
        assert_eq!(done(&assignment, 10), None);
        assert_eq!(assignment.position(), Some(3));
        assert_eq!(done(&assignment, 4), None);
        assert_eq!(done(&assignment, 3), Some(4));
        assert_eq!(assignment.position(), Some(5));
        for offset in [5, 10, 11] {
            assignment.take(offset);
        }
        assert_eq!(done(&assignment, 11), None);
        assert_eq!(done(&assignment, 5), Some(5));
        assert_eq!(done(&assignment, 10), Some(11));
    }

    #[test]
    fn what_is_done_with_behind_one_that_is_not_takes_no_room() {
        let assignment = Assignment::new(0);
        assignment.take(0);
        for offset in 1..10_000 {
            assignment.take(offset);
            assert_eq!(done(&assignment, offset), None);
            assert!(assignment.progress.lock().taken.len() <= 2);
        }
        for offset in 10_000..10_006 {
            assignment.take(offset);
        }
        // In any order.
        for offset in [10_001, 10_003, 10_005, 10_002, 10_004, 10_000] {
            assert_eq!(done(&assignment, offset), None);
        }
        assert_eq!(assignment.progress.lock().taken, [(0, false), (10_005, true)]);
        assert_eq!(done(&assignment, 0), Some(10_005));
        assert_eq!(assignment.position(), Some(10_006));
    }

    #[test]
    fn of_a_gap_only_what_the_partition_has_no_more_is_missing() {
        let assignment = Assignment::new(0);
        for offset in [10, 12, 13] {
            assignment.take(offset);
        }
        assert_eq!(assignment.missing(3), 0, "the broker's own");
        for offset in [20, 22] {
            assignment.take(offset);
        }
        assert_eq!(assignment.missing(20), 6);
        assert_eq!(assignment.missing(20), 0, "it was told");
        assignment.take(30);
        assert_eq!(assignment.missing(-1), 0, "nobody knows where it begins");
    }

    #[test]
    fn what_is_dropped_without_a_word_holds_the_offset_back() {
        let assignment = Assignment::new(0);
        assignment.take(1);
        assignment.take(2);
        assignment.dropped();
        assert_eq!(done(&assignment, 2), None);
    }

    #[tokio::test]
    async fn it_is_quiet_when_the_last_delivery_is_dropped() {
        let assignment = Arc::new(Assignment::new(0));
        assignment.take(1);
        assignment.take(2);
        let waiting = tokio::spawn({
            let assignment = Arc::clone(&assignment);
            async move { assignment.quiet().await }
        });
        assignment.dropped();
        assert!(!waiting.is_finished());
        assignment.dropped();
        waiting.await.unwrap();
    }
}
