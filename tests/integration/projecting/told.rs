//! What is told of an event whose answer was lost.

use eventsource_runtime::telemetry::names;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::ScopeMetrics;

use super::*;

/// Applies nothing.
struct Refusing;

#[projection]
impl Refusing {
    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("poison"))
    }
}

/// As what the events of a projection were counted.
fn statuses(metrics: &InMemoryMetricExporter) -> Vec<String> {
    let finished = metrics.get_finished_metrics().unwrap();
    let all = finished.last().into_iter().flat_map(|resource| resource.scope_metrics().flat_map(ScopeMetrics::metrics));
    let told = all.filter(|metric| metric.name() == names::EVENTSOURCE_PROJECTION_EVENTS).flat_map(Measured::of);
    let kinds = told.flat_map(|measured| measured.attributes);
    let kinds = kinds.filter(|each| each.key.as_str() == names::STATUS);
    kinds.map(|status| status.value.to_string()).collect()
}

/// The checkpoint was found behind the event, which was counted as applied.
#[tokio::test]
async fn an_event_is_told_as_what_became_of_it_though_the_answer_was_lost() {
    for (policy, status) in [(OnFailure::Skip, "skipped"), (OnFailure::DeadLetter, "dead_lettered")] {
        let metrics = InMemoryMetricExporter::default();
        let recorder = Recorder::with(|builder| builder.metric_exporter(metrics.clone()));
        recorder
            .run(async {
                let store = Faulty::default();
                // Steps that fail give none.
                store.lose_answers(1);
                let runner = ProjectionRunner::new(store.clone()).projection(Refusing).max_retries(1);
                let projections = runner.on_failure(policy).spawn();
                let last = cancel(&store, &a_stream(), REASON, 1).await;
                projections.wait_for(last).await.unwrap();
                projections.shutdown().await.unwrap();
            })
            .await;
        recorder.flush().await;
        assert_eq!(statuses(&metrics), [status]);
    }
}
