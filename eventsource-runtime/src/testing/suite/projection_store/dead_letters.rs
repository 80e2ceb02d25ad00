//! Events that are set aside, and the streams that are parked behind them.

use super::*;

pub async fn an_event_that_is_set_aside_is_a_dead_letter<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, stream) = (fresh().await, Arc::new(Notes::default()), a_stream());
    let events = append(&store, &[&stream], 1).await;
    let claim = opened(&store, &notes).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    let listed = letters(&store, None).await;
    let [letter] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&letter.stream, letter.version, letter.position), (&stream, events[0].version, events[0].position));
    assert_eq!((&*letter.event_type, &*letter.error_type), ("Placed", "projection"));
    assert_eq!((&*letter.reason, letter.retries, letter.at.as_micros()), ("not today", 3, 7));
    assert!(!letter.is_parked());
    assert_eq!((notes.noted(), checkpoint(&store, PART).await), (vec![], events[0].position));
}

pub async fn letters_are_listed_in_order_and_in_pages<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 7).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    apply(&store, &notes, batch(PART, &claim, events[0].position, &events[1..])).await.expect("the others follow");
    let (mut listed, mut after) = (Vec::new(), Position::START);
    loop {
        let page = store.dead_letters(NAME, Letters { stream: None, after, limit: 3 }).await.expect("they are listed");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = last.position;
        listed.extend(page.into_iter().map(|letter| letter.position.get()));
    }
    assert_eq!(listed, positions(&events));
}

pub async fn letters_of_one_stream_are_listed_alone<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, one, other) = (fresh().await, Arc::new(Notes::default()), a_stream(), a_stream());
    let events = append(&store, &[&one, &other], 1).await;
    let claim = opened(&store, &notes).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    set_aside(&store, &notes, &claim, events[0].position, &events[1]).await.expect("it is set aside");
    let of_other = letters(&store, Some(&other)).await;
    assert_eq!(of_other.iter().map(|letter| letter.position).collect::<Vec<_>>(), [events[1].position]);
    assert_eq!(letters(&store, None).await.len(), 2);
}

pub async fn later_events_of_a_stream_are_parked_and_others_go_on<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, bad, good) = (fresh().await, Arc::new(Notes::default()), a_stream(), a_stream());
    let events = append(&store, &[&bad, &good], 3).await;
    let claim = opened(&store, &notes).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    let applied = apply(&store, &notes, batch(PART, &claim, events[0].position, &events[1..])).await;
    let parked = applied.expect("the batch is applied").parked;
    assert_eq!(parked, [events[2].position, events[4].position]);
    assert_eq!(notes.noted(), [&events[1], &events[3], &events[5]].map(|event| event.position.get()));
    let letters = letters(&store, Some(&bad)).await;
    assert_eq!(letters.iter().map(DeadLetter::is_parked).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(letters[1].at.as_micros(), 7, "the sender's time");
}

/// As after a restore that has put the checkpoint back and not the letters: here each of two parts sets them aside.
pub async fn a_letter_that_is_there_already_is_no_trouble<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, claim) = (fresh().await, Arc::new(Notes::default()), claim());
    let events = append(&store, &[&a_stream()], 2).await;
    open(&store, &notes, 2).await.expect("a projection is opened");
    for part in Partition::all(NAME, 2) {
        assert_eq!(lease(&store, part, &claim).await.taken, None);
        let error = ProjectionError::new("not today").at(&events[0]);
        let letter = DeadLetter::failed(&events[0], &error, 3, Timestamp::from_micros(7));
        let failed = Batch::new(part, claim.clone(), Position::START, events[0].position).set_aside(Some(letter));
        apply(&store, &notes, failed).await.expect("it is set aside");
        let next = batch(part, &claim, events[0].position, &events[1..]);
        apply(&store, &notes, next).await.expect("the next is parked");
        assert_eq!(checkpoint(&store, part).await, events[1].position);
    }
    let listed: Vec<_> = letters(&store, None).await.iter().map(|letter| letter.position.get()).collect();
    assert_eq!((notes.noted(), listed), (vec![], positions(&events)));
}

pub async fn a_letter_that_is_retried_is_applied_and_removed<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    assert!(settle(&store, &notes, &events[0], true).await.expect("it is settled"));
    assert_eq!((notes.noted(), letters(&store, None).await), (positions(&events[..1]), vec![]));
    assert_eq!(checkpoint(&store, PART).await, events[0].position, "where the runner left it");
    let next = batch(PART, &claim, events[0].position, &events[1..]);
    apply(&store, &notes, next).await.expect("the runner still has its lease");
}

pub async fn a_retry_that_fails_leaves_the_letter<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    for notes in [Notes::default(), Notes::panicking()] {
        let (store, notes) = (fresh().await, Arc::new(notes));
        let events = append(&store, &[&a_stream()], 1).await;
        notes.fail_at(&events[0]);
        let claim = opened(&store, &notes).await;
        set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
        let error = settle(&store, &notes, &events[0], true).await.expect_err("it fails again");
        assert_eq!(error.event(), Some(events[0].position), "{error}");
        assert_eq!(letters(&store, None).await.len(), 1);
        notes.is_mended();
        assert!(settle(&store, &notes, &events[0], true).await.expect("it is settled"));
        assert_eq!(notes.noted(), positions(&events));
    }
}

pub async fn letters_of_a_stream_are_applied_in_order<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    apply(&store, &notes, batch(PART, &claim, events[0].position, &events[1..])).await.expect("the next is parked");
    assert!(!settle(&store, &notes, &events[1], true).await.expect("it is answered"), "it is not its turn");
    assert_eq!((notes.noted(), letters(&store, None).await.len()), (vec![], 2));
    for event in &events {
        assert!(settle(&store, &notes, event, true).await.expect("it is settled"));
    }
    assert_eq!(notes.noted(), positions(&events));
}

pub async fn letters_of_other_streams_hold_up_no_retry<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, one, other) = (fresh().await, Arc::new(Notes::default()), a_stream(), a_stream());
    let events = append(&store, &[&one, &other], 1).await;
    let claim = opened(&store, &notes).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    set_aside(&store, &notes, &claim, events[0].position, &events[1]).await.expect("it is set aside");
    assert!(settle(&store, &notes, &events[1], true).await.expect("it is settled"), "the earlier one is another's");
    assert_eq!(notes.noted(), positions(&events[1..]));
}

pub async fn letters_of_another_projection_hold_up_no_retry<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, held) = opened_with(fresh, 2).await;
    let other = Arc::new(Notes::named("Others"));
    open(&store, &other, 1).await.expect("the other is opened");
    let (others, theirs) = (Partition::whole("Others"), claim());
    lease(&store, others, &theirs).await;
    let letter = DeadLetter::parked(&events[0], Timestamp::from_micros(7));
    let parked = Batch::new(others, theirs, Position::START, events[0].position).set_aside(Some(letter));
    apply(&store, &other, parked).await.expect("it is set aside there");
    set_aside(&store, &notes, &held, Position::START, &events[1]).await.expect("it is set aside");
    assert!(settle(&store, &notes, &events[1], true).await.expect("it is settled"), "the earlier one is another's");
    assert_eq!(notes.noted(), positions(&events[1..]));
}

pub async fn a_letter_that_is_resolved_is_removed_unapplied<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    apply(&store, &notes, batch(PART, &claim, events[0].position, &events[1..])).await.expect("the next is parked");
    assert!(settle(&store, &notes, &events[0], false).await.expect("it is settled"));
    assert_eq!(notes.noted(), Vec::<u64>::new());
    let left: Vec<_> = letters(&store, None).await.iter().map(|letter| letter.position).collect();
    assert_eq!(left, [events[1].position], "what was parked behind it waits to be retried");
}

pub async fn settling_what_is_not_there_does_nothing<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 1).await;
    for with_event in [true, false] {
        assert!(!settle(&store, &notes, &events[0], with_event).await.expect("it is answered"));
    }
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    let other = {
        let (store, notes, event) = (store.clone(), Arc::clone(&notes), events[0].clone());
        tokio::spawn(async move { settle(&store, &notes, &event, true).await })
    };
    let one = settle(&store, &notes, &events[0], true).await.expect("it is answered");
    let other = other.await.expect("a retry does not panic").expect("it is answered");
    assert!(one != other, "one of two retries is the faster");
    assert_eq!(notes.noted(), positions(&events));
}

pub async fn a_stream_without_letters_goes_on<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 2).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    assert!(settle(&store, &notes, &events[0], true).await.expect("it is settled"));
    let applied = apply(&store, &notes, batch(PART, &claim, events[0].position, &events[1..])).await;
    assert!(applied.expect("the batch is applied").parked.is_empty());
    assert_eq!(notes.noted(), positions(&events));
}

pub async fn a_refused_batch_sets_nothing_aside<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, held) = opened_with(fresh, 1).await;
    set_aside(&store, &notes, &claim(), Position::START, &events[0]).await.expect_err("it has no lease");
    set_aside(&store, &notes, &held, Position::new(9), &events[0]).await.expect_err("it comes from elsewhere");
    assert_eq!((letters(&store, None).await, checkpoint(&store, PART).await), (vec![], Position::START));
}

pub async fn a_reset_removes_the_letters<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, claim) = opened_with(fresh, 1).await;
    set_aside(&store, &notes, &claim, Position::START, &events[0]).await.expect("it is set aside");
    reset(&store, &notes, &claim).await.expect("it is reset");
    assert_eq!(letters(&store, None).await, vec![]);
}

pub async fn letters_of_another_projection_are_none_of_ours<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, other) = (fresh().await, Arc::new(Notes::default()), Arc::new(Notes::named("Others")));
    let events = append(&store, &[&a_stream()], 1).await;
    let held = opened(&store, &notes).await;
    open(&store, &other, 1).await.expect("the other is opened");
    let (others, theirs) = (Partition::whole("Others"), claim());
    lease(&store, others, &theirs).await;
    set_aside(&store, &notes, &held, Position::START, &events[0]).await.expect("it is set aside");
    apply(&store, &other, batch(others, &theirs, Position::START, &events)).await.expect("nothing is parked there");
    assert_eq!(other.noted(), positions(&events));
    assert!(!settle(&store, &other, &events[0], false).await.expect("it is answered"));
    assert_eq!(letters(&store, None).await.len(), 1);
}
