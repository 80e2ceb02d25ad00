//! What every store must do that projections run on. [`projection_suite!`](crate::projection_suite) makes a test of
//! each function.
//!
//! What a store's own transactions hold besides the checkpoint, only its own tests can see: here the effects are noted
//! in memory.

#![allow(clippy::missing_panics_doc, reason = "a test says no by a panic")]
#![allow(missing_docs, reason = "the name of a test says what it tests")]
#![allow(clippy::wildcard_imports, reason = "the parts of the suite share its tools")]

mod checkpoints;
mod dead_letters;
mod keeping;
mod leases;
mod notes;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use checkpoints::*;
pub use dead_letters::*;
pub use keeping::*;
pub use leases::*;
use notes::Notes;

use super::a_stream;
use super::event_store::{an_event, feed};
use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, Batch, CheckpointMoved, Claim, DeadLetter, Lease, LeaseLost, Letters, Partition, PartitionsChanged,
    Projection, ProjectionError, ProjectionStore,
};
use crate::store::{ExpectedVersion, Filter, Position, StreamId};
use crate::telemetry::Scope;

/// Makes a module of tests that run the suite on a store. The closure is called for each test and opens an empty store.
///
/// ```no_run
/// use eventsource_runtime::projection_suite;
/// use eventsource_runtime::store::MemoryStore;
///
/// projection_suite!(memory, || async { MemoryStore::new() });
/// ```
#[macro_export]
macro_rules! projection_suite {
    ($name:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the closure may need nothing of its surroundings")]
            use super::*;
            $crate::projection_suite! { @cases [$crate::suite_tests] [projection_store $open] }
        }
    };
    // Hands the names of all cases to another macro, behind `@` and what the caller wishes to get back.
    (@cases [$($macro:tt)+] $back:tt) => {
        $($macro)+! { @ $back
            a_projection_is_set_up_once
            a_new_projection_begins_where_it_is_told
            a_set_up_that_fails_is_made_again
            what_is_not_open_is_refused
            a_batch_moves_the_checkpoint
            a_batch_without_events_moves_the_checkpoint
            a_batch_from_elsewhere_is_refused
            a_failing_step_names_its_event
            a_panicking_step_names_its_event
            a_reset_begins_again
            a_reset_begins_again_in_every_part
            a_reset_that_fails_changes_nothing
            projections_stand_each_for_itself
            parts_stand_each_for_itself
            the_number_of_parts_changes_where_all_stand_alike
            the_number_of_parts_stays_where_they_do_not
            a_lease_is_had_by_one
            a_lease_tells_where_the_part_stands
            a_lease_is_renewed_by_its_holder
            a_lease_that_is_given_up_is_free
            nobody_gives_up_the_lease_of_another
            a_lease_that_has_expired_is_free
            a_lease_that_has_expired_is_told_to_whoever_takes_it
            a_lease_that_has_expired_and_that_nobody_took_still_holds
            a_lease_is_taken_by_force
            a_late_batch_after_a_takeover_is_refused
            a_late_reset_after_a_takeover_is_refused
            a_batch_renews_its_lease
            one_of_many_claims_is_granted
            an_event_that_is_set_aside_is_a_dead_letter
            letters_are_listed_in_order_and_in_pages
            letters_of_one_stream_are_listed_alone
            later_events_of_a_stream_are_parked_and_others_go_on
            a_letter_that_is_there_already_is_no_trouble
            a_letter_that_is_retried_is_applied_and_removed
            a_retry_that_fails_leaves_the_letter
            letters_of_a_stream_are_applied_in_order
            letters_of_other_streams_hold_up_no_retry
            letters_of_another_projection_hold_up_no_retry
            a_letter_that_is_resolved_is_removed_unapplied
            settling_what_is_not_there_does_nothing
            a_stream_without_letters_goes_on
            a_refused_batch_sets_nothing_aside
            a_reset_removes_the_letters
            letters_of_another_projection_are_none_of_ours
            a_checkpoint_is_kept_to_the_last_bit
            names_differ_to_the_last_character
            what_a_letter_says_is_kept
            letters_survive_a_change_of_parts
            a_letter_parks_its_stream_in_every_later_batch
            a_lease_tells_who_has_it_now
            a_step_that_failed_is_applied_when_it_is_mended
            a_batch_that_is_sent_twice_at_once_is_applied_once
            dropped_batches_leave_the_projection_usable
        }
    };
}

const NAME: &str = "Notes";
const PART: Partition = Partition::whole(NAME);
const LONG: Duration = Duration::from_mins(10);

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "the suite", LONG)
}

/// Appends this many events to each stream in turn, and returns them all, in order of the feed.
async fn append<S: ProjectionStore>(store: &S, streams: &[&StreamId], each: usize) -> Vec<StoredEvent> {
    for _ in 0..each {
        for stream in streams {
            let batch = vec![an_event("Placed", "{}")];
            store.append(stream, ExpectedVersion::Any, batch).await.expect("an append is made");
        }
    }
    feed(store, &Filter::all(), 1000).await
}

/// Opens the projection in one part and takes its lease.
async fn opened<S: ProjectionStore>(store: &S, notes: &Arc<Notes>) -> Claim {
    open(store, notes, 1).await.expect("a projection is opened");
    let claim = claim();
    assert_eq!(lease(store, PART, &claim).await.taken, None, "nobody has the lease");
    claim
}

/// A store with a stream of that many events, on which the projection is opened.
async fn opened_with<S: ProjectionStore>(
    fresh: impl AsyncFn() -> S,
    events: usize,
) -> (S, Arc<Notes>, Vec<StoredEvent>, Claim) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], events).await;
    let claim = opened(&store, &notes).await;
    (store, notes, events, claim)
}

async fn open<S: ProjectionStore>(store: &S, notes: &Arc<Notes>, parts: u32) -> Result<(), ProjectionError> {
    open_after(store, notes, parts, Position::START).await
}

async fn open_after<S: ProjectionStore>(
    store: &S,
    notes: &Arc<Notes>,
    parts: u32,
    after: Position,
) -> Result<(), ProjectionError> {
    store.open_projection(Arc::clone(notes) as Arc<dyn Projection<S::Backend>>, parts, after).await
}

async fn lease<S: ProjectionStore>(store: &S, part: Partition, claim: &Claim) -> Lease {
    store.lease_projection(part, claim.clone()).await.expect("a lease is answered")
}

/// Where a part stands, asked without getting a lease.
async fn checkpoint<S: ProjectionStore>(store: &S, part: Partition) -> Position {
    lease(store, part, &claim().given_up()).await.checkpoint
}

/// Waits until a claim is granted; returns what it was told until then.
async fn granted<S: ProjectionStore>(store: &S, claim: &Claim) -> Lease {
    loop {
        let lease = lease(store, PART, claim).await;
        if lease.taken.is_none() {
            return lease;
        }
        tokio::task::yield_now().await;
    }
}

/// A batch of events under a lease, from a position to the last of them.
fn batch(part: Partition, claim: &Claim, from: Position, events: &[StoredEvent]) -> Batch {
    let to = events.last().map_or(from, |event| event.position);
    Batch::new(part, claim.clone(), from, to).events(events.to_vec()).at(Timestamp::from_micros(7))
}

async fn apply<S: ProjectionStore>(store: &S, notes: &Arc<Notes>, batch: Batch) -> Result<Applied, ProjectionError> {
    store.apply_batch(Arc::clone(notes) as Arc<dyn Projection<S::Backend>>, batch, Scope::current()).await
}

async fn reset<S: ProjectionStore>(store: &S, notes: &Arc<Notes>, claim: &Claim) -> Result<(), ProjectionError> {
    store.reset_projection(Arc::clone(notes) as Arc<dyn Projection<S::Backend>>, claim.token).await
}

/// Settles the letter at an event's position, with its event or without.
async fn settle<S: ProjectionStore>(
    store: &S,
    notes: &Arc<Notes>,
    event: &StoredEvent,
    with_event: bool,
) -> Result<bool, ProjectionError> {
    let projection = Arc::clone(notes) as Arc<dyn Projection<S::Backend>>;
    let given = with_event.then(|| event.clone());
    store.settle_dead_letter(projection, event.position, given, Scope::current()).await
}

async fn letters<S: ProjectionStore>(store: &S, stream: Option<&StreamId>) -> Vec<DeadLetter> {
    let letters = Letters { stream: stream.cloned(), after: Position::START, limit: 100 };
    store.dead_letters(NAME, letters).await.expect("dead letters are listed")
}

/// Sets an event aside, as a runner does when its policy says so.
async fn set_aside<S: ProjectionStore>(
    store: &S,
    notes: &Arc<Notes>,
    claim: &Claim,
    from: Position,
    event: &StoredEvent,
) -> Result<Applied, ProjectionError> {
    let error = ProjectionError::new("not today").at(event);
    let letter = DeadLetter::failed(event, &error, 3, Timestamp::from_micros(7));
    let batch = Batch::new(PART, claim.clone(), from, event.position).set_aside(Some(letter));
    apply(store, notes, batch).await
}

fn positions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}
