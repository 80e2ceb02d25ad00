//! What is told of a rebuild.

use eventsource_tests::logged::Log;
use eventsource_tests::registry::Measured;
use eventsource_tests::scratch::Scratch;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;

use super::anew::open;
use super::*;

/// A share is told as a number with a fraction.
fn is_told(metrics: &InMemoryMetricExporter) -> bool {
    Measured::last(metrics).iter().any(|point| point.name == "eventsource.projection.rebuild.progress")
}

/// Of a rebuild that took hours the log said nothing, and the progress of one aside vanished when it was done.
#[tokio::test]
async fn begin_and_end_are_logged_and_the_progress_stays_until_the_runner_is_shut_down() {
    let (log, _guard) = Log::of_thread();
    let (recorder, metrics) = Recorder::measured();
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let mut last = Position::START;
    for _ in 0..3 {
        last = cancel(&store, &a_stream(), REASON, 1).await;
    }
    let tally = || runner(&store).projection(Tally::sound());
    let rebuilt = async {
        for (times, anew) in [tally().rebuild(), tally().rebuild_aside()].into_iter().enumerate() {
            let projections = anew.spawn();
            projections.wait_for(last).await.unwrap();
            recorder.flush().await;
            assert!(is_told(&metrics), "rebuild {times}");
            projections.shutdown().await.unwrap();
            recorder.flush().await;
            assert!(!is_told(&metrics), "rebuild {times}");
            let told = log.names_of("eventsource::projection");
            let each = ["eventsource.projection.rebuild_begun", "eventsource.projection.rebuilt"];
            assert_eq!(told, each.repeat(times + 1));
        }
    };
    recorder.run(rebuilt).await;
    assert!(log.says("eventsource.projection.rebuild_begun", "eventsource.to_position", 3));
    assert!(log.says("eventsource.projection.rebuilt", "eventsource.event.count", 3));
    log.hears("eventsource.projection.rebuilt").await;
}

/// That it waited was the last that one read of it.
#[tokio::test]
async fn a_lease_that_was_waited_for_is_told_once_it_is_held() {
    let (log, _guard) = Log::of_thread();
    let store = sqlite().await;
    let first = runner(&store).owner("first").projection(Tally::sound()).spawn();
    first.wait_for(cancel(&store, &a_stream(), REASON, 1).await).await.unwrap();
    let second = runner(&store).owner("second").projection(Tally::sound()).spawn();
    log.hears("eventsource.projection.waits").await;
    first.shutdown().await.unwrap();
    log.hears("eventsource.projection.takes_over").await;
    second.shutdown().await.unwrap();
    let told = log.names_of("eventsource::projection");
    assert_eq!(told, ["eventsource.projection.waits", "eventsource.projection.takes_over"]);
}

/// It read as if that one had given it up, and no other line told of a process that had died or hung.
#[tokio::test]
async fn a_lease_that_nobody_renewed_is_told_when_another_takes_it() {
    let (log, _guard) = Log::of_thread();
    let store = sqlite().await;
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    store.open_projection(Arc::new(Tally::sound()), 1, Position::START).await.unwrap();
    let (part, token) = (Partition::whole("Tally"), Uuid::now_v7());
    let dead = |term| Claim::new(token, "dead", term);
    store.lease_projection(part, dead(Duration::from_mins(1))).await.unwrap();
    let alive = runner(&store).lease(Duration::from_secs(10)).owner("alive").projection(Tally::sound()).spawn();
    log.hears("eventsource.projection.waits").await;
    store.lease_projection(part, dead(Duration::from_millis(1))).await.unwrap();
    alive.wait_for(last).await.unwrap();
    alive.shutdown().await.unwrap();
    let told = log.names_of("eventsource::projection");
    assert_eq!(told, ["eventsource.projection.waits", "eventsource.projection.lease_expired"]);
}

/// Nor is it, if it comes in batches.
#[tokio::test]
async fn what_comes_after_a_rebuild_is_no_replay() {
    let recorder = Recorder::new();
    let rebuilt = recorder.run(async {
        let (store, stream) = (sqlite().await, a_stream());
        let many = || (0..100).map(|_| cancellation(REASON, 1)).collect();
        let mut last = cancel(&store, &stream, REASON, 1).await;
        let projections = runner(&store).projection(Tally::sound()).enable_tracing(true).rebuild().spawn();
        projections.wait_for(last).await.unwrap();
        last = store.append(&stream, ExpectedVersion::Any, many()).await.unwrap().position;
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
    });
    rebuilt.await;
    let rendered = recorder.trees().render();
    assert!(rendered.contains("eventsource.batch.size="), "{rendered}");
    assert_eq!(rendered.matches("eventsource.replay=true").count(), 1, "{rendered}");
}
