//! One runner at a time, and a late one may do nothing.

use std::sync::atomic::Ordering;

use super::*;

/// Long enough to be granted, and over at once.
const MOMENT: Duration = Duration::from_millis(1);

fn brief() -> Claim {
    Claim { term: MOMENT, ..claim() }
}

fn is_lost<T: std::fmt::Debug>(result: Result<T, ProjectionError>) {
    let error = result.expect_err("the lease is another's");
    assert!(error.cause().is::<LeaseLost>(), "{error}");
}

pub async fn a_lease_is_had_by_one<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    opened(&store, &notes).await;
    let taken = lease(&store, PART, &claim()).await.taken.expect("the first one has it");
    assert_eq!(taken.owner, "the suite");
    assert!(taken.left > LONG / 2 && taken.left <= LONG, "{:?}", taken.left);
}

pub async fn a_lease_tells_where_the_part_stands<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, first) = opened_with(fresh, 2).await;
    apply(&store, &notes, batch(PART, &first, Position::START, &events)).await.expect("the batch is applied");
    assert_eq!(lease(&store, PART, &first).await.checkpoint, events[1].position, "to its holder");
    assert_eq!(lease(&store, PART, &claim()).await.checkpoint, events[1].position, "and to who waits for it");
}

pub async fn a_lease_is_renewed_by_its_holder<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let first = opened(&store, &notes).await;
    let longer = Claim { term: LONG * 3, ..first };
    assert_eq!(lease(&store, PART, &longer).await.taken, None);
    let left = lease(&store, PART, &claim()).await.taken.expect("it is still had").left;
    assert!(left > LONG * 2, "{left:?}");
}

pub async fn a_lease_that_is_given_up_is_free<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes, events, first) = opened_with(fresh, 1).await;
    assert_eq!(lease(&store, PART, &first.clone().given_up()).await.taken, None);
    is_lost(apply(&store, &notes, batch(PART, &first, Position::START, &events)).await);
    assert_eq!(lease(&store, PART, &claim()).await.taken, None);
}

pub async fn nobody_gives_up_the_lease_of_another<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    opened(&store, &notes).await;
    assert!(lease(&store, PART, &claim().given_up()).await.taken.is_some());
    assert!(lease(&store, PART, &claim()).await.taken.is_some(), "it is still had");
}

pub async fn a_lease_that_has_expired_is_free<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    open(&store, &notes, 1).await.expect("a projection is opened");
    lease(&store, PART, &brief()).await;
    granted(&store, &claim()).await;
    assert!(lease(&store, PART, &claim()).await.taken.is_some(), "it is had for long now");
}

/// Otherwise the death of a process looks as if it had ended well.
pub async fn a_lease_that_has_expired_is_told_to_whoever_takes_it<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    append(&store, &[&a_stream()], 1).await;
    open(&store, &notes, 1).await.expect("a projection is opened");
    let dead = Claim { owner: "the dead".into(), ..brief() };
    assert_eq!(lease(&store, PART, &dead).await.expired, None, "it was nobody's");
    let next = claim();
    assert_eq!(granted(&store, &next).await.expired.as_deref(), Some("the dead"));
    assert_eq!(lease(&store, PART, &next).await.expired, None, "it is its own now");
    assert_eq!(lease(&store, PART, &next.given_up()).await.expired, None);
    assert_eq!(lease(&store, PART, &dead).await.expired, None, "it was given up");
    assert_eq!(lease(&store, PART, &claim().by_force()).await.expired, None, "it is taken, be it expired or not");
}

/// A late runner does no harm as long as nobody else has begun.
pub async fn a_lease_that_has_expired_and_that_nobody_took_still_holds<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 1).await;
    open(&store, &notes, 1).await.expect("a projection is opened");
    let late = brief();
    lease(&store, PART, &late).await;
    while lease(&store, PART, &claim().given_up()).await.taken.is_some_and(|taken| !taken.left.is_zero()) {
        tokio::task::yield_now().await;
    }
    apply(&store, &notes, batch(PART, &late, Position::START, &events)).await.expect("the batch is applied");
    assert_eq!(notes.noted(), positions(&events));
}

pub async fn a_lease_is_taken_by_force<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let first = opened(&store, &notes).await;
    assert_eq!(lease(&store, PART, &claim().by_force()).await.taken, None);
    assert!(lease(&store, PART, &first).await.taken.is_some(), "its holder is told when it renews it");
}

pub async fn a_late_batch_after_a_takeover_is_refused<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let events = append(&store, &[&a_stream()], 2).await;
    open(&store, &notes, 1).await.expect("a projection is opened");
    let (late, next) = (brief(), claim());
    lease(&store, PART, &late).await;
    granted(&store, &next).await;
    // Where it had left it, so that the checkpoint alone would let it pass.
    let batch_of = |claim| batch(PART, claim, Position::START, &events);
    is_lost(apply(&store, &notes, batch_of(&late)).await);
    assert_eq!((notes.noted(), checkpoint(&store, PART).await), (vec![], Position::START));
    assert!(lease(&store, PART, &late).await.taken.is_some(), "the attempt has renewed nothing");
    apply(&store, &notes, batch_of(&next)).await.expect("the batch of the next is applied");
    is_lost(apply(&store, &notes, batch_of(&late)).await);
    assert_eq!(notes.noted(), positions(&events));
}

pub async fn a_late_reset_after_a_takeover_is_refused<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    let late = opened(&store, &notes).await;
    lease(&store, PART, &claim().by_force()).await;
    is_lost(reset(&store, &notes, &late).await);
    assert_eq!(notes.resets.load(Ordering::SeqCst), 0);
}

pub async fn a_batch_renews_its_lease<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    open(&store, &notes, 1).await.expect("a projection is opened");
    let first = brief();
    lease(&store, PART, &first).await;
    let longer = Claim { term: LONG, ..first };
    apply(&store, &notes, Batch::new(PART, longer, Position::START, Position::new(1))).await.expect("it is applied");
    let left = lease(&store, PART, &claim()).await.taken.expect("it is still had").left;
    assert!(left > LONG / 2, "{left:?}");
}

pub async fn one_of_many_claims_is_granted<S: ProjectionStore>(fresh: impl AsyncFn() -> S) {
    let (store, notes) = (fresh().await, Arc::new(Notes::default()));
    open(&store, &notes, 1).await.expect("a projection is opened");
    let claims: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { lease(&store, PART, &claim()).await.taken.is_none() })
        })
        .collect();
    let mut granted = 0;
    for claim in claims {
        granted += u32::from(claim.await.expect("a claim is answered"));
    }
    assert_eq!(granted, 1);
}
