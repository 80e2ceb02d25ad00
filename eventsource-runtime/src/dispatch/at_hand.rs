//! A message in its handler, and what is reported if that panics or is dropped.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use super::json::Side;
use crate::telemetry::log::Failed;
use crate::telemetry::{Span, guarded, log, metrics, names};

/// A message that is being handled. A panic of its handler, and a caller that drops the future, for instance because
/// its time is over, go past the usual end; the message is counted all the same.
pub(super) struct AtHand<'a> {
    side: &'static Side,
    /// The message's name, and that of its span.
    names: (&'static str, &'static str),
    span: &'a Span,
    begun: Option<Instant>,
}

impl<'a> AtHand<'a> {
    /// `begun` is the start time, if the duration is measured.
    pub(super) fn new(
        side: &'static Side,
        names: (&'static str, &'static str),
        span: &'a Span,
        begun: Option<Instant>,
    ) -> Self {
        Self { side, names, span, begun }
    }

    /// The message was handled; returns how long it took, if that is measured.
    pub(super) fn handled(self) -> Option<Duration> {
        let elapsed = self.begun.map(|begun| begun.elapsed());
        mem::forget(self);
        elapsed
    }
}

impl Drop for AtHand<'_> {
    fn drop(&mut self) {
        // A second panic in here would abort the process.
        guarded(|| {
            if thread::panicking() {
                self.panicked();
            } else {
                // The span itself tells that it was cancelled.
                self.count("cancelled");
            }
        });
    }
}

impl AtHand<'_> {
    fn panicked(&self) {
        // A recording span reports the panic itself.
        if !self.span.is_recording() {
            self.span.in_scope(|| log::failure(Failed::new(names::LOG_SPAN, self.names.1), "panic", None));
        }
        self.span.record(&mut |later| (self.side.failed)(later));
        self.count("panic");
    }

    fn count(&self, error_type: &'static str) {
        if let Some(begun) = self.begun {
            let elapsed = begun.elapsed();
            let ended = metrics::Ended { name: self.names.0, status: "error", error_type: Some(error_type), elapsed };
            self.span.in_scope(|| (self.side.count)(&ended));
        }
    }
}
