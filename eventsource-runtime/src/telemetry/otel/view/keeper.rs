//! Keeps the last spans, and writes them on request.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs, io};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use uuid::Uuid;

use super::TraceView;
use crate::sync::Mutex;

/// How many spans are kept; the oldest make room.
pub(super) const MOST_SPANS: usize = 20_000;

pub(in crate::telemetry::otel) struct Keeper {
    path: PathBuf,
    view: TraceView,
    kept: Mutex<Kept>,
    /// Held while the file is written: of two flushes at once, the one that began first must not end last.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Kept {
    spans: VecDeque<SpanData>,
    left_out: u64,
}

impl Keeper {
    pub(in crate::telemetry::otel) fn new(path: PathBuf, view: TraceView) -> Self {
        Self { path, view, kept: Mutex::default(), writing: Mutex::new(()) }
    }

    fn write(&self) -> io::Result<()> {
        let _writing = self.writing.lock();
        let (spans, left_out) = {
            let kept = self.kept.lock();
            (kept.spans.iter().cloned().collect::<Vec<_>>(), kept.left_out)
        };
        // Of its own, since another set-up, or another process, may write the same page.
        let mut beside = self.path.clone().into_os_string();
        beside.push(format!(".{}.part", Uuid::now_v7()));
        let written = fs::write(&beside, self.view.page(&spans, left_out));
        written.and_then(|()| fs::rename(&beside, &self.path)).inspect_err(|_| {
            // There may be none, or a part of it.
            let _ = fs::remove_file(&beside);
        })
    }
}

impl SpanProcessor for Keeper {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.spans.len() == MOST_SPANS {
            kept.spans.pop_front();
            kept.left_out += 1;
        }
        kept.spans.push_back(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.write().map_err(|error| {
            let hint = "check that the folder is there and may be written to";
            OTelSdkError::InternalFailure(format!("the view `{}`: {error}; {hint}", self.path.display()))
        })
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.force_flush()
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("path", &self.path).finish_non_exhaustive()
    }
}
