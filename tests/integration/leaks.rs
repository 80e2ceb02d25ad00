//! Secrets that can be told from all else, and what others read, in which there must be none.

use std::fmt::{self, Write as _};
use std::future::Future;
use std::sync::{Arc, Mutex};

use eventsource_runtime::testing;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use tracing::span;

/// What every secret begins with.
pub(crate) const CANARY: &str = "canary";

/// A secret that says where it was put.
pub(crate) fn secret(place: &str) -> String {
    format!("{CANARY}:{place}")
}

/// Every log record, in full, at every level.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<String>>);

impl Logs {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Logs {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Fields<'a>(&'a mut String);
        impl tracing::field::Visit for Fields<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, " {field}={value:?}");
            }
        }
        let mut text = self.0.lock().unwrap();
        let _ = write!(text, "\n{}", event.metadata().target());
        event.record(&mut Fields(&mut text));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What the program shows when its own values are printed, its users' types aside.
#[derive(Default)]
pub(crate) struct Shown(pub(crate) String);

impl Shown {
    pub(crate) fn debug(&mut self, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "\n{value:?}\n{value:#?}");
    }

    /// What an error says, with all its causes, and its `Debug`.
    pub(crate) fn error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.debug(&error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            let _ = write!(self.0, "\n{error}");
            cause = error.source();
        }
    }
}

/// What reached the spans and the logs, in which there is no secret, nor anywhere else.
pub(crate) fn assert_no_leak(
    recorder: &Recorder,
    metrics: &InMemoryMetricExporter,
    logs: &Logs,
    shown: &Shown,
) -> (String, String) {
    let spans = format!("{:#?}", recorder.spans());
    let metrics = format!("{:#?}", metrics.get_finished_metrics().unwrap());
    let logs = logs.0.lock().unwrap().clone();
    for (medium, text) in [("spans", &spans), ("metrics", &metrics), ("logs", &logs), ("debug", &shown.0)] {
        assert!(text.len() > 200, "nothing reached the {medium}:\n{text}");
        let leaks: Vec<&str> = text.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(leaks.is_empty(), "in {medium}:\n{}", leaks.join("\n"));
    }
    (spans, logs)
}

/// On one thread, so that all logs are captured; with a server's address, or skipped.
pub(crate) fn on_one_thread<F: Future<Output = ()>>(
    address: fn() -> String,
    body: impl FnOnce(String) -> F + Send + 'static,
) {
    testing::run(async {
        let address = address();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(body(address));
        };
        tokio::task::spawn_blocking(run).await.unwrap();
    });
}
