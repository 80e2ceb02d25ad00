//! How the failure of a step is told.

use std::fmt;
use std::sync::{Arc, Mutex};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::logged::listen;
use eventsource_tests::orders::{Order, OrderCancelled};
use eventsource_tests::recorder::Recorder;
use uuid::Uuid;

/// The span ids of the log events that bear an error's name.
#[derive(Clone, Debug, Default)]
struct Failures(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Failures {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "eventsource::command"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut |field: &tracing::field::Field, value: &dyn fmt::Debug| {
            if field.name() == "span_id" {
                self.0.lock().unwrap().push(format!("{value:?}").trim_matches('"').to_owned());
            }
        });
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_step_that_fails_has_a_log_record_of_its_own() {
    let failures = Failures::default();
    let recorder = Recorder::new();
    let _logged = listen(failures.clone());
    let orders = Repository::<Order, _>::new(MemoryStore::new());
    let expected = ExpectedVersion::Exact(Version::new(1));
    let event = OrderCancelled { reason: "too slow".into() };
    recorder.run(orders.append(&Uuid::now_v7(), expected, event)).await.unwrap_err();
    let persist = recorder.trees().span("persist_events").span_context.span_id().to_string();
    let logged = failures.0.lock().unwrap();
    assert_eq!(logged.iter().filter(|id| **id == persist).count(), 1, "{logged:?}");
}
