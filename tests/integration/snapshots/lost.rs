//! Snapshots that are never got to, and what that says of others.

use super::*;

/// The duration was counted as that of a call to the events.
#[tokio::test]
async fn a_snapshot_that_could_not_be_asked_for_is_counted_as_its_span_says() {
    let (recorder, metrics) = Recorder::measured();
    let store = SqliteStore::open(":memory:").await.unwrap();
    let tallies = Repository::<Tally, _>::new(store.clone());
    store.close().await;
    recorder.run(tallies.load(&Uuid::now_v7())).await.unwrap_err();
    recorder.flush().await;
    let spans = recorder.spans();
    let get = spans.iter().find(|span| span.name == "snapshot_store.get").unwrap();
    let said = get.attributes.iter().find(|it| it.key.as_str() == names::DB_COLLECTION_NAME).unwrap();
    assert_eq!(said.value.as_str(), "snapshots");
    let points = Measured::all(&metrics).into_iter().filter(|point| point.name == names::DB_CLIENT_OPERATION_DURATION);
    let counted: Vec<_> = points.map(|point| (point.said(names::DB_COLLECTION_NAME), point.count)).collect();
    assert_eq!(counted, [("snapshots".to_owned(), 1)]);
}

/// A store that did not answer kept those from being asked that its repository was given later.
#[tokio::test(start_paused = true)]
async fn a_store_rests_for_itself_alone() {
    let (hanging, other, tally) = (FaultySnapshots::default(), FaultySnapshots::default(), Uuid::now_v7());
    hanging.fail(Fault::Hang);
    let first = tallies(&MemoryStore::new(), &hanging);
    first.load(&tally).await.unwrap();
    let second = first.clone().with_snapshots(other.clone());
    second.load(&tally).await.unwrap();
    first.load(&tally).await.unwrap();
    assert_eq!((hanging.calls(), other.calls()), (1, 1));
}

/// Each load is counted, and nothing is written to a store that is not asked.
#[tokio::test(start_paused = true)]
async fn who_finds_a_store_at_rest_is_counted_and_writes_no_snapshot() {
    let ((recorder, metrics), snapshots, tally) = (Recorder::measured(), FaultySnapshots::default(), Uuid::now_v7());
    snapshots.fail(Fault::Hang);
    let tallies = tallies(&MemoryStore::new(), &snapshots);
    let bus = CommandBus::builder().aggregate(tallies.clone()).build();
    for _ in 0..3 {
        recorder.run(bus.dispatch(Add { tally, count: 5 })).await.unwrap();
    }
    assert_eq!(reads(&recorder, &metrics).await, BTreeMap::from([("store_error".to_owned(), 3)]));
    assert_eq!((snapshots.calls(), snapshots.saving()), (1, (0, 0)));
}
