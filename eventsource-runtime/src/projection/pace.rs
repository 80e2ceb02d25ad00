//! The size of the next batch, by how long the ones before took.

use std::time::Duration;

use super::batch::Took;
use crate::domain::StoredEvent;

/// The sizes between which batches adapt: slow steps or large events make them smaller. A full page is a batch too if
/// few events were asked for, but not if it is smaller than this: then a transaction for each event costs little beside
/// the event itself.
pub(super) const SMALLEST_BATCH: usize = 8;
pub(super) const LARGEST_BATCH: usize = 2048;
/// How many bytes of payloads and metadata a batch should hold: with the one read ahead, twice that is in memory.
const LARGE_BATCH: usize = 4 * 1024 * 1024;

/// The size of the next batch, after one for which `read` events were read and which took `took`: as many events as
/// should take three quarters of `longest`, so that few batches hold up commands for longer. If that is spent on the
/// commit, as many as take as long again: smaller batches would hold up as much, and get nowhere. At most twice the
/// current size, and at least half. `read` is separate from the size, as the page may have been asked for with an older
/// one, or be the last.
pub(super) fn adapted(batch: usize, read: usize, took: Took, longest: Duration) -> usize {
    let may_take = (longest.saturating_mul(3) / 4).saturating_sub(took.rest).max(took.rest);
    let wanted = may_take.as_nanos() * read as u128 / took.steps.as_nanos().max(1);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).clamp(batch / 2, batch * 2);
    wanted.clamp(SMALLEST_BATCH, LARGEST_BATCH)
}

/// How many events like these a batch may hold.
pub(super) fn within_bytes(events: &[StoredEvent]) -> usize {
    let bytes: usize = events.iter().map(StoredEvent::bytes).sum();
    let each = bytes / events.len().max(1);
    (LARGE_BATCH / each.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of batches after a hundred of them, each of which takes so long, and so much more for each event.
    fn settled(rest: Duration, each: Duration, longest: Duration) -> usize {
        (0..100).fold(64, |batch, _| {
            let steps = each * u32::try_from(batch).unwrap();
            adapted(batch, batch, Took { steps, rest }, longest)
        })
    }

    /// They shrank to the smallest, of which each waited for the disk as long as a large one.
    #[test]
    fn batches_do_not_shrink_for_what_their_commit_takes() {
        let (micros, millis) = (Duration::from_micros, Duration::from_millis);
        assert!((60..=80).contains(&settled(micros(50), micros(20), millis(2))), "the commit is next to nothing");
        let slow = settled(millis(5), micros(20), millis(2));
        assert!((200..=300).contains(&slow), "as long as the commit itself: {slow}");
        assert_eq!(settled(millis(30), micros(1), millis(20)), LARGEST_BATCH);
    }

    /// The size after a batch that took so many milliseconds, all of them for its events.
    fn adapted_to(batch: usize, read: usize, took: u64) -> usize {
        let took = Took { steps: Duration::from_millis(took), rest: Duration::ZERO };
        adapted(batch, read, took, Duration::from_millis(20))
    }

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_not() {
        assert_eq!(adapted_to(64, 64, 1), 128);
        assert_eq!(adapted_to(LARGEST_BATCH, LARGEST_BATCH, 1), LARGEST_BATCH);
        assert_eq!(adapted_to(1024, 1024, 15), 1024);
        assert_eq!(adapted_to(1024, 1024, 80), 512);
        // A little too long: a little smaller, not half of it and then twice as large again.
        assert_eq!(adapted_to(1024, 1024, 20), 768);
        assert_eq!(adapted_to(768, 768, 12), 960);
        assert_eq!(adapted_to(64, 64, 1000), 32);
        assert_eq!(adapted_to(SMALLEST_BATCH, SMALLEST_BATCH, 1000), SMALLEST_BATCH);
    }

    /// A store that sets no limit ended its projections with a panic.
    #[test]
    fn batches_of_a_store_that_sets_no_limit_grow_to_the_largest() {
        assert_eq!(settled(Duration::from_millis(5), Duration::from_micros(20), Duration::MAX), LARGEST_BATCH);
    }

    #[test]
    fn a_batch_is_told_by_the_events_that_it_had() {
        // Read ahead with half the size: its time is right for as many.
        assert_eq!(adapted_to(512, 256, 15), 256);
        // The last page of the past, which is short, is quick because of that.
        assert_eq!(adapted_to(1024, 128, 2), 960);
    }
}
