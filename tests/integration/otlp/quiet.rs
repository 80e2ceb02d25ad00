//! What exporting does is seen by nobody who exports: or it would never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::recorder::{Balance, PATIENCE};
use opentelemetry_sdk::logs::InMemoryLogExporter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt as _};
use uuid::Uuid;

use super::receivers::Tap;
use super::{exported_by, headers};
use crate::{bus, place};

/// Set in the process that exports.
const CHILD: &str = "EVENTSOURCE_TESTS_EXPORTS_AT_TRACE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exporting_over_grpc_traces_and_logs_is_not_exported() {
    let (endpoint, _told) = headers::receiver().await;
    assert_quiet(endpoint, "grpc").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_exporting_over_http_traces_and_logs_is_not_exported() {
    let Some(tap) = Tap::start() else { return };
    assert_quiet(tap.endpoint(), "http/protobuf").await;
}

async fn assert_quiet(endpoint: String, protocol: &'static str) {
    let environment = [
        (CHILD, protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
    ];
    let child = move || exported_by("otlp::quiet::exports_at_trace", &environment);
    let output = tokio::task::spawn_blocking(child).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("quiet"), "{output:?}");
}

/// Does its work only in the process that the tests start: everything that `tracing` is told goes to OpenTelemetry,
/// spans and events, however small.
#[tokio::test]
async fn exports_at_trace() {
    let Ok(protocol) = std::env::var(CHILD) else { return };
    let (spans, logs, heard) = (Balance::default(), InMemoryLogExporter::default(), Heard::default());
    let builder = Telemetry::from_env("tests").span_processor(spans.clone()).log_exporter(logs.clone());
    let telemetry = builder.shutdown_timeout(PATIENCE).install().unwrap();
    let layers = tracing_subscriber::registry().with(telemetry.tracing_layer()).with(telemetry.log_layer());
    tracing::subscriber::set_global_default(layers.with(heard.clone())).unwrap();

    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    bus(&store).dispatch(place(order)).await.unwrap();
    bus(&store).dispatch(place(order)).await.unwrap_err();
    telemetry.force_flush().await.unwrap();
    let ended = spans.ended();
    for _ in 0..20 {
        // Metrics are sent each time.
        telemetry.force_flush().await.unwrap();
    }
    assert_eq!(spans.ended(), ended, "spans of the transport");
    let logs = logs.get_emitted_logs().unwrap();
    let targets: Vec<_> = logs.iter().map(|log| log.record.target().unwrap().to_string()).collect();
    assert_eq!(targets, ["eventsource::command"]);
    // It has something to say, and is heard by whoever does not export.
    assert!(heard.0.load(Ordering::SeqCst) > 0, "{protocol}");
    telemetry.shutdown().await.unwrap();
    println!("quiet");
}

/// Events of the transport.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let target = event.metadata().target();
        if ["h2", "hyper", "reqwest", "tower", "tonic"].iter().any(|transport| target.starts_with(transport)) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}
