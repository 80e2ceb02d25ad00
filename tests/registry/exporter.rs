//! An exporter in trouble, which the log tells.

use std::sync::{Arc, Condvar, Mutex};

use eventsource_runtime::telemetry::{Telemetry, span};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Takes nothing until it is let, then fails once.
#[derive(Clone, Debug, Default)]
struct Late(Arc<(Mutex<usize>, Condvar)>);

impl SpanExporter for Late {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        let mut exports = self.0.0.lock().unwrap();
        exports = self.0.1.wait_while(exports, |exports| *exports == 0).unwrap();
        *exports += 1;
        if *exports == 2 { Err(OTelSdkError::InternalFailure("not yet".into())) } else { Ok(()) }
    }
}

/// More spans than wait for an exporter; and another exporter, which fails at first and works then.
pub(crate) fn exporters_in_trouble() {
    made_for_one_that_is_late(3000);
    made_for_one_that_is_late(1);
}

fn made_for_one_that_is_late(spans: usize) {
    let late = Late::default();
    let telemetry = Telemetry::builder("registry").span_exporter(late.clone()).build().unwrap();
    let attached = telemetry.attach();
    for _ in 0..spans {
        span("users.own").in_scope(|| ());
    }
    *late.0.0.lock().unwrap() = 1;
    late.0.1.notify_all();
    let _ = telemetry.force_flush_blocking();
    span("users.own").in_scope(|| ());
    let _ = telemetry.shutdown_blocking();
    drop(attached);
}
