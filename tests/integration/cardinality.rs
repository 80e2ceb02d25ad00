//! However many aggregates there are, the series of metrics stay few: no id becomes an attribute.

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::span;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ScopeMetrics};
use uuid::Uuid;

use crate::{bus, place};

/// What one kind of command can make of one metric: each status, with each name of a failure.
const MOST_SERIES: usize = 4;

fn series(metric: &Metric) -> usize {
    fn of<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    match metric.data() {
        AggregatedMetrics::F64(data) => of(data),
        AggregatedMetrics::U64(data) => of(data),
        AggregatedMetrics::I64(data) => of(data),
    }
}

/// `EVENTSOURCE_TESTS_AGGREGATES` sets how many there are: a million in `tests/run --long`.
#[tokio::test]
async fn a_million_aggregates_make_no_more_series_than_one() {
    let many = std::env::var("EVENTSOURCE_TESTS_AGGREGATES").map_or(5000, |count| count.parse().unwrap());
    let metrics = InMemoryMetricExporter::default();
    let recorder = Recorder::with(|builder| builder.metric_exporter(metrics.clone()));
    let work = async {
        let mut commands = bus(&MemoryStore::new());
        for nth in 0..many {
            // A store in memory keeps all of them.
            if nth % 100_000 == 0 {
                commands = bus(&MemoryStore::new());
            }
            let order = place(Uuid::from_u128(nth));
            commands.dispatch(order.clone()).await.unwrap();
            if nth % 2 == 0 {
                commands.dispatch(order).await.unwrap_err();
            }
        }
    };
    // A million spans would have to be kept.
    recorder.run(span("muted").options(|options| options.enable(false)).run(work)).await;
    recorder.flush().await;
    let finished = metrics.get_finished_metrics().unwrap();
    let last = finished.last().unwrap();
    let mut seen = 0;
    for metric in last.scope_metrics().flat_map(ScopeMetrics::metrics) {
        seen += 1;
        assert!(series(metric) <= MOST_SERIES, "{}: {} series", metric.name(), series(metric));
    }
    assert!(seen >= 4, "{seen} metrics");
}
