//! Where a projection stands, and what may move it.

use std::sync::atomic::Ordering;

use super::*;

pub async fn a_projection_is_set_up_once<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    for _ in 0..3 {
        open(&store, &notes, 1).await.expect("a projection is opened");
    }
    assert_eq!(notes.set_up.load(Ordering::SeqCst), 1);
    assert_eq!(checkpoint(&store, PART).await, Position::START);
}

/// One that is not new continues from where it stands, at the start too.
pub async fn a_new_projection_begins_where_it_is_told<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, far) = (fresh().await, Arc::new(Notes::default()), Position::new(1_000_000));
    let parts: Vec<_> = Partition::all(NAME, 2).collect();
    for after in [far, Position::new(7), Position::START] {
        open_after(&store, &notes, 2, after).await.expect("a projection is opened");
        for part in &parts {
            assert_eq!(checkpoint(&store, *part).await, far);
        }
    }
    open_after(&store, &notes, 3, Position::new(7)).await.expect("in other parts too");
    assert_eq!(checkpoint(&store, Partition::all(NAME, 3).last().expect("there are three")).await, far);
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    for after in [Position::START, far] {
        open_after(&store, &notes, 1, after).await.expect("a projection is opened");
        assert_eq!(checkpoint(&store, PART).await, Position::START);
    }
}

pub async fn a_set_up_that_fails_is_made_again<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    notes.refusals.store(1, Ordering::SeqCst);
    let error = open(&store, &notes, 1).await.expect_err("the set-up fails");
    assert_eq!((error.to_string().as_str(), error.event()), ("told to", None));
    store.lease_projection(PART, claim()).await.expect_err("nothing was opened");
    open(&store, &notes, 1).await.expect("a projection is opened");
    assert_eq!(notes.set_up.load(Ordering::SeqCst), 1);
}

pub async fn what_is_not_open_is_refused<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 1).await;
    store.lease_projection(PART, claim()).await.expect_err("it has no lease");
    apply(&store, &notes, batch(PART, &claim(), Position::START, &events)).await.expect_err("it takes no batch");
    opened(&store, &notes).await;
    let other = Partition::all(NAME, 2).last().expect("there are two");
    store.lease_projection(other, claim()).await.expect_err("it has no such part");
    assert_eq!(notes.noted(), Vec::<u64>::new());
}

pub async fn a_batch_moves_the_checkpoint<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 5).await;
    let applied = apply(&store, &notes, batch(PART, &claim, Position::START, &events[..2])).await;
    assert!(applied.expect("the batch is applied").parked.is_empty());
    assert_eq!(checkpoint(&store, PART).await, events[1].position);
    apply(&store, &notes, batch(PART, &claim, events[1].position, &events[2..])).await.expect("so is the next");
    assert_eq!(checkpoint(&store, PART).await, events[4].position);
    assert_eq!(notes.noted(), positions(&events), "in order");
}

pub async fn a_batch_without_events_moves_the_checkpoint<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let claim = opened(&store, &notes).await;
    let far = Position::new(1_000_000);
    apply(&store, &notes, Batch::new(PART, claim, Position::START, far)).await.expect("the batch is applied");
    assert_eq!(checkpoint(&store, PART).await, far);
}

pub async fn a_batch_from_elsewhere_is_refused<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 3).await;
    let first = batch(PART, &claim, Position::START, &events[..2]);
    apply(&store, &notes, first.clone()).await.expect("the batch is applied");
    // The same again, as if the answer was lost; and one that would leave something out.
    for refused in [first, batch(PART, &claim, events[2].position, &[])] {
        let from = refused.from;
        let error = apply(&store, &notes, refused).await.expect_err("the batch is refused");
        let moved: &CheckpointMoved = error.cause().downcast_ref().expect("the checkpoint is elsewhere");
        assert_eq!((moved.expected, moved.found), (from, events[1].position));
    }
    assert_eq!(notes.noted(), positions(&events[..2]));
    assert_eq!(checkpoint(&store, PART).await, events[1].position);
}

/// A store with transactions has undone the steps before it; another one keeps them, and has moved past them.
async fn fails_at_the_third<S: ProjectionStore>(store: S, notes: Notes) {
    let notes = Arc::new(notes);
    let events = append(&store, &[&a_stream()], 5).await;
    notes.fail_at(&events[2]);
    let claim = opened(&store, &notes).await;
    let error = apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect_err("it fails");
    assert_eq!(error.event(), Some(events[2].position), "{error}");
    assert!(error.to_string().contains("told to"), "{error}");
    let stands = checkpoint(&store, PART).await;
    assert!(stands == Position::START || stands == events[1].position, "{stands}");
}

pub async fn a_failing_step_names_its_event<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    fails_at_the_third(fresh().await, Notes::default()).await;
}

pub async fn a_panicking_step_names_its_event<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    fails_at_the_third(fresh().await, Notes::panicking()).await;
}

pub async fn a_reset_begins_again<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect("the batch is applied");
    reset(&store, &notes, &claim).await.expect("it is reset");
    assert_eq!(checkpoint(&store, PART).await, Position::START);
    assert_eq!((notes.set_up.load(Ordering::SeqCst), notes.resets.load(Ordering::SeqCst)), (1, 1));
    apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect("the lease is still had");
}

pub async fn a_reset_begins_again_in_every_part<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, claim) = (fresh().await, Arc::new(Notes::default()), claim());
    let events = append(&store, &[&a_stream()], 2).await;
    open(&store, &notes, 2).await.expect("a projection is opened");
    for (part, event) in Partition::all(NAME, 2).zip(&events) {
        assert_eq!(lease(&store, part, &claim).await.taken, None);
        let batch = batch(part, &claim, Position::START, std::slice::from_ref(event));
        apply(&store, &notes, batch).await.expect("the batch is applied");
    }
    reset(&store, &notes, &claim).await.expect("it is reset");
    for part in Partition::all(NAME, 2) {
        assert_eq!(checkpoint(&store, part).await, Position::START, "{part}");
    }
    assert_eq!(notes.resets.load(Ordering::SeqCst), 1, "once for all");
}

pub async fn a_reset_that_fails_changes_nothing<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    notes.refusals.store(1, Ordering::SeqCst);
    reset(&store, &notes, &claim).await.expect_err("the reset fails");
    assert_eq!(checkpoint(&store, PART).await, events[0].position);
    assert_eq!(letters(&store, None).await.len(), 1);
}

pub async fn projections_stand_each_for_itself<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, other) = (fresh().await, Arc::new(Notes::default()), Arc::new(Notes::named("Others")));
    let events = append(&store, &[&a_stream()], 1).await;
    let claim = opened(&store, &notes).await;
    open(&store, &other, 1).await.expect("the other is opened");
    apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect("the batch is applied");
    assert_eq!(checkpoint(&store, Partition::whole("Others")).await, Position::START);
    let lease = lease(&store, Partition::whole("Others"), &super::claim()).await;
    assert_eq!(lease.taken, None, "each has a lease of its own");
}

pub async fn parts_stand_each_for_itself<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 1).await;
    open(&store, &notes, 2).await.expect("a projection is opened");
    let [one, other] = Partition::all(NAME, 2).collect::<Vec<_>>()[..] else { panic!("there are two") };
    let (mine, yours) = (claim(), claim());
    assert_eq!(lease(&store, one, &mine).await.taken, None);
    assert_eq!(lease(&store, other, &yours).await.taken, None);
    apply(&store, &notes, batch(one, &mine, Position::START, &events)).await.expect("the batch is applied");
    assert_eq!(checkpoint(&store, one).await, events[0].position);
    assert_eq!(checkpoint(&store, other).await, Position::START);
    apply(&store, &notes, batch(other, &mine, Position::START, &events)).await.expect_err("it is another's part");
    reset(&store, &notes, &mine).await.expect_err("one part is another's");
    assert_eq!(checkpoint(&store, one).await, events[0].position);
}

/// How many parts there are, and how many were wanted, according to an error.
fn parts_of(error: &ProjectionError) -> (u32, u32) {
    let Some(changed) = error.cause().downcast_ref::<PartitionsChanged>() else { panic!("it tells no parts: {error}") };
    (changed.stored, changed.wanted)
}

pub async fn the_number_of_parts_changes_where_all_stand_alike<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 1).await;
    apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect("the batch is applied");
    open(&store, &notes, 3).await.expect("it has three parts now");
    for part in Partition::all(NAME, 3) {
        assert_eq!(checkpoint(&store, part).await, events[0].position);
    }
    let late = Batch::new(PART, claim, events[0].position, Position::new(1000));
    let error = apply(&store, &notes, late).await.expect_err("who knows of one part has lost it");
    assert_eq!(parts_of(&error), (3, 1));
    let error = store.lease_projection(PART, super::claim()).await.expect_err("nobody has that part any more");
    assert_eq!(parts_of(&error), (3, 1));
    assert_eq!(notes.set_up.load(Ordering::SeqCst), 1);
}

pub async fn the_number_of_parts_stays_where_they_do_not<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 1).await;
    open(&store, &notes, 2).await.expect("a projection is opened");
    let one = Partition::all(NAME, 2).next().expect("there are two");
    let claim = claim();
    lease(&store, one, &claim).await;
    apply(&store, &notes, batch(one, &claim, Position::START, &events)).await.expect("the batch is applied");
    let error = open(&store, &notes, 1).await.expect_err("the parts differ");
    assert_eq!(parts_of(&error), (2, 1));
    open(&store, &notes, 2).await.expect("nothing has changed");
    assert_eq!(checkpoint(&store, one).await, events[0].position);
}
