//! What is kept is kept exactly, and calls that are concurrent, or dropped, leave it whole.

use std::sync::atomic::Ordering;

use super::*;
use crate::testing::suite::dropped_after;

pub async fn a_checkpoint_is_kept_to_the_last_bit<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let claim = opened(&store, &notes).await;
    let mut from = Position::START;
    for to in [u64::from(u32::MAX) + 2, (1 << 53) + 1, i64::MAX.cast_unsigned()].map(Position::new) {
        apply(&store, &notes, Batch::new(PART, claim.clone(), from, to)).await.expect("the batch is applied");
        assert_eq!(checkpoint(&store, PART).await, to);
        from = to;
    }
}

pub async fn names_differ_to_the_last_character<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    const NAMES: [&str; 6] = ["Notes", "notes", "Notes ", "N'o\"tes; --", "Nötes", "%"];
    let (store, mut standing) = (fresh().await, Vec::new());
    let events = append(&store, &[&a_stream()], NAMES.len()).await;
    for (name, event) in NAMES.into_iter().zip(&events) {
        let (notes, part, claim) = (Arc::new(Notes::named(name)), Partition::whole(name), claim());
        open(&store, &notes, 1).await.expect("a projection is opened");
        assert_eq!(lease(&store, part, &claim).await, Lease::new(Position::START, None), "{name}");
        let batch = Batch::new(part, claim, Position::START, event.position).events(vec![event.clone()]);
        apply(&store, &notes, batch).await.expect("the batch is applied");
        assert_eq!((notes.set_up.load(Ordering::SeqCst), notes.noted()), (1, vec![event.position.get()]), "{name}");
        standing.push((part, event.position));
    }
    for (part, position) in standing {
        assert_eq!(checkpoint(&store, part).await, position, "{part}");
    }
}

pub async fn what_a_letter_says_is_kept<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 1).await;
    let reason = "it's \"no\"; -- \\ %s\r\n\tΩ 🦀 ".repeat(40);
    let error = ProjectionError::new(reason.trim()).at(&events[0]);
    let letter = DeadLetter::failed(&events[0], &error, u32::MAX, Timestamp::from_micros(-1));
    assert!(letter.reason.len() > 1000);
    let batch = Batch::new(PART, claim, Position::START, events[0].position).set_aside(Some(letter.clone()));
    apply(&store, &notes, batch).await.expect("it is set aside");
    assert_eq!(letters(&store, None).await, [letter]);
}

pub async fn letters_survive_a_change_of_parts<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, held) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &held, Position::START, &events[0]).await.expect("it is set aside");
    open(&store, &notes, 3).await.expect("it has three parts now");
    assert_eq!(letters(&store, None).await.len(), 1);
    let (part, next) = (Partition::of(NAME, &events[1].stream, 3), claim());
    assert_eq!(lease(&store, part, &next).await.taken, None);
    let applied = apply(&store, &notes, batch(part, &next, events[0].position, &events[1..])).await;
    assert_eq!(applied.expect("the batch is applied").parked, [events[1].position], "its stream is still parked");
}

pub async fn a_letter_parks_its_stream_in_every_later_batch<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 5).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    for pair in events.windows(2) {
        let applied = apply(&store, &notes, batch(PART, &claim, pair[0].position, &pair[1..])).await;
        assert_eq!(applied.expect("the batch is applied").parked, [pair[1].position]);
    }
    assert_eq!((notes.noted(), letters(&store, None).await.len()), (vec![], 5));
}

pub async fn a_lease_tells_who_has_it_now<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    opened(&store, &notes).await;
    for owner in ["the second", "Ω 🦀 \"the third\""] {
        let next = Claim::new(Uuid::now_v7(), owner, LONG).by_force();
        assert_eq!(lease(&store, PART, &next).await.taken, None);
        let taken = lease(&store, PART, &claim()).await.taken.expect("it is had");
        assert_eq!(taken.owner, owner);
    }
}

pub async fn a_step_that_failed_is_applied_when_it_is_mended<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 1).await;
    notes.fail_at(&events[0]);
    let claim = opened(&store, &notes).await;
    for _ in 0..3 {
        apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect_err("it fails");
    }
    notes.is_mended();
    apply(&store, &notes, batch(PART, &claim, Position::START, &events)).await.expect("the batch is applied");
    assert_eq!((notes.noted(), checkpoint(&store, PART).await), (positions(&events), events[0].position));
    assert_eq!(letters(&store, None).await, vec![]);
}

pub async fn a_batch_that_is_sent_twice_at_once_is_applied_once<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 3).await;
    let sent: Vec<_> = (0..4)
        .map(|_| {
            let (store, notes) = (store.clone(), Arc::clone(&notes));
            let batch = batch(PART, &claim, Position::START, &events);
            tokio::spawn(async move { apply(&store, &notes, batch).await.is_ok() })
        })
        .collect();
    let mut applied = 0;
    for sent in sent {
        applied += u32::from(sent.await.expect("a batch does not panic"));
    }
    // If steps can be undone, those of the refused ones may have run.
    assert_eq!((applied, checkpoint(&store, PART).await), (1, events[2].position));
}

pub async fn dropped_batches_leave_the_projection_usable<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 20).await;
    let mut from = Position::START;
    for (polls, event) in events.iter().enumerate() {
        let one = || batch(PART, &claim, from, std::slice::from_ref(event));
        // It may have been applied all the same.
        let _ = dropped_after(polls % 7, apply(&store, &notes, one())).await;
        let applied = apply(&store, &notes, one()).await;
        let stands = checkpoint(&store, PART).await;
        assert_eq!(stands, event.position, "{applied:?}");
        from = stands;
    }
}
