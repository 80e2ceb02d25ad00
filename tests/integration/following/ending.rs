//! How projections end: with their store, and within the time that they are given.

use super::*;

#[tokio::test]
async fn a_closed_store_ends_a_projection() {
    let store = sqlite().await;
    let last = place_many(&store, 1).await;
    let projections = ProjectionRunner::new(store.clone()).projection(Numbers).max_retries(u32::MAX).spawn();
    projections.wait_for(last).await.unwrap();
    store.close().await;
    let stopped = in_time(projections.wait_for(Position::new(last.get() + 1))).await.unwrap_err();
    assert!(why(&stopped).contains("closed"), "{}", why(&stopped));
}

#[tokio::test]
async fn a_store_that_closes_during_the_shut_down_is_a_clean_end() {
    let store = Faulty::default();
    let effects = Effects::stuck();
    let projections = ProjectionRunner::new(store.clone()).projection(effects.clone()).spawn();
    place_many(&store, 1).await;
    in_time(first_batch(&store)).await;
    let close = async {
        store.close();
        effects.permits.add_permits(1);
    };
    let (ended, ()) = tokio::join!(projections.shutdown(), close);
    ended.unwrap();
}

#[tokio::test]
async fn a_step_that_does_not_end_is_aborted_when_the_shut_down_has_no_more_time() {
    let store = Faulty::default();
    let projections = ProjectionRunner::new(store.clone()).projection(Effects::stuck()).spawn();
    place_many(&store, 1).await;
    in_time(first_batch(&store)).await;
    let stopped = in_time(projections.shutdown_within(Duration::from_millis(1))).await.unwrap_err();
    let ProjectionStopped::Aborted { projection, checkpoint, .. } = stopped else { panic!("{stopped}") };
    assert_eq!((projection, checkpoint), ("Effects", Position::START));
}
