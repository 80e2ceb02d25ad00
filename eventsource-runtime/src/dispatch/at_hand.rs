//! A message that is with its handler, and what is said of it if that panics.

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use super::json::Side;
use crate::telemetry::{Span, guarded, log, metrics, names};

/// A message that is being handled. A panic of its handler passes on its way to the caller, and nothing ends as it does
/// otherwise; the message is counted all the same.
pub(super) struct AtHand<'a> {
    side: &'static Side,
    name: &'static str,
    span: &'a Span,
    begun: Option<Instant>,
}

impl<'a> AtHand<'a> {
    /// `begun` is when, where somebody reads how long it takes.
    pub(super) fn new(side: &'static Side, name: &'static str, span: &'a Span, begun: Option<Instant>) -> Self {
        Self { side, name, span, begun }
    }

    /// It was handled: how long it took, where somebody reads that.
    pub(super) fn handled(self) -> Option<Duration> {
        let elapsed = self.begun.map(|begun| begun.elapsed());
        mem::forget(self);
        elapsed
    }
}

impl Drop for AtHand<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        // Another panic in here would end the process.
        guarded(|| {
            // One that records tells it itself.
            if !self.span.is_recording() {
                self.span.in_scope(|| log::failure(names::LOG_SPAN, "panic", None));
            }
            self.span.record(&mut |later| (self.side.failed)(later));
            if let Some(begun) = self.begun {
                let elapsed = begun.elapsed();
                let ended = metrics::Ended { name: self.name, status: "error", error_type: Some("panic"), elapsed };
                self.span.in_scope(|| (self.side.count)(&ended));
            }
        });
    }
}
