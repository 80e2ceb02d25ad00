//! The page of `TraceView` in a browser, driven as a user would: with the mouse and with keys.
//!
//! `CHROMIUM` names the browser; without it, and without a `chromium` on the path, the tests say that they were
//! skipped.

mod browser;
mod hostile;
mod many;
mod sides;
mod stories;

use std::time::{Duration, SystemTime};

use eventsource_runtime::telemetry::TraceView;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use browser::Browser;

fn context(trace: u128, id: u64) -> SpanContext {
    SpanContext::new(TraceId::from(trace), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A span from and to in microseconds.
fn span(trace: u128, id: u64, parent: u64, name: &'static str, from: u64, to: u64) -> SpanData {
    let at = |micros| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_micros(micros);
    SpanData {
        span_context: context(trace, id),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time: at(from),
        end_time: at(to),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("tests").build(),
    }
}

/// The page of some spans, open in a browser; `None` where there is no browser.
fn open(spans: &[SpanData]) -> Option<Browser> {
    let mut browser = Browser::start()?;
    browser.open(&TraceView::new("tests").render(spans));
    Some(browser)
}
