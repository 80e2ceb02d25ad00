//! Messages received as JSON: limits, and the telemetry of those that reach no handler.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::PayloadFault;
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Kind, PANIC, Span, Start, log, metrics, names};

/// The names in which commands and queries differ.
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) unknown_span: &'static str,
    pub(super) type_key: &'static str,
    /// The target of log records.
    pub(super) target: &'static str,
    pub(super) count: fn(&metrics::Ended<'_>),
    /// What the span records of a message that failed.
    pub(super) failed: fn(&mut Attributes),
    /// The same for one that reached no handler.
    pub(super) refused: fn(&mut Attributes),
}

pub(super) static COMMANDS: Side = Side {
    name: "write",
    unknown_span: "command.unknown",
    type_key: names::CQRS_COMMAND_TYPE,
    target: names::LOG_COMMAND,
    count: |ended| metrics::command(ended, 0, None),
    failed: |later| later.text(names::CQRS_COMMAND_STATUS, "error"),
    refused: |later| later.number(names::EVENTSOURCE_RETRY_COUNT, 0),
};

pub(super) static QUERIES: Side = Side {
    name: "read",
    unknown_span: "query.unknown",
    type_key: names::CQRS_QUERY_TYPE,
    target: names::LOG_QUERY,
    count: |ended| metrics::query(ended, None),
    failed: |_| (),
    refused: |_| (),
};

/// What a bus is allowed to emit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switches {
    pub(super) tracing: bool,
    pub(super) metrics: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self { tracing: true, metrics: true }
    }
}

/// A message as JSON, and its maximum length.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a> {
    pub(super) json: &'a [u8],
    pub(super) most: usize,
}

/// A type of message that is handled.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) span: &'static str,
    /// The aggregate of a command.
    pub(super) aggregate_type: Option<&'static str>,
}

/// Why a message reached no handler.
pub(super) enum Refused {
    TooLarge(usize),
    BadPayload(PayloadFault),
}

impl Refused {
    fn error_type(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::BadPayload(_) => "bad_payload",
        }
    }
}

impl Side {
    /// Reads a message within the limits; one that does not fit is reported as an Error span of its kind.
    pub(super) fn read<M>(
        &self,
        known: Known,
        payload: Payload<'_>,
        read: fn(&[u8]) -> serde_json::Result<M>,
        switches: Switches,
    ) -> Result<M, Refused> {
        let read = match payload.json.len() {
            size if size > payload.most => Err(Refused::TooLarge(size)),
            _ => read(payload.json).map_err(|error| Refused::BadPayload(PayloadFault::new(&error))),
        };
        read.inspect_err(|refused| self.refuse(known, known.name, refused.error_type().into(), switches))
    }

    /// Reports a message without a handler. Its name is not ours, so it names neither the span nor the metric.
    pub(super) fn unknown(&self, name: &str, switches: Switches) {
        self.refuse(self.nobodys("unknown"), name, Cow::Borrowed("no_handler"), switches);
    }

    /// Reports a message whose name belongs to two types.
    pub(super) fn ambiguous(&self, name: &'static str, switches: Switches) {
        self.refuse(self.nobodys(name), name, Cow::Borrowed("ambiguous"), switches);
    }

    /// A message whose type is not known.
    fn nobodys(&self, name: &'static str) -> Known {
        Known { name, span: self.unknown_span, aggregate_type: None }
    }

    /// Reports a message whose handler panicked, or whose caller dropped the future. The names are the message's, and
    /// that of its span; `begun` is the start time, if the duration is measured.
    pub(super) fn unanswered(
        &self,
        (name, span_name): (&'static str, &'static str),
        span: &Span,
        begun: Option<Instant>,
        error_type: &'static str,
    ) {
        // That it was cancelled the span itself tells, and one that records reports the panic too.
        if error_type == PANIC {
            if !span.is_recording() {
                span.in_scope(|| log::failure(Failed::new(names::LOG_SPAN, span_name), error_type, None));
            }
            span.record(&mut |later| (self.failed)(later));
        }
        if let Some(begun) = begun {
            let elapsed = begun.elapsed();
            let ended = metrics::Ended { name, status: "error", error_type: Some(error_type), elapsed };
            span.in_scope(|| (self.count)(&ended));
        }
    }

    /// Reports a message that reached no handler, in a span of its kind that fails.
    pub(super) fn refuse(
        &self,
        Known { name, span: span_name, aggregate_type }: Known,
        shown: &str,
        error_type: Cow<'static, str>,
        switches: Switches,
    ) {
        let span = Start::new(span_name, Kind::Internal, || switches.tracing).begin(
            &mut |known| {
                known.text(names::CQRS_SIDE, self.name);
                known.string(self.type_key, shown);
                known.record(names::EVENTSOURCE_AGGREGATE_TYPE, &aggregate_type);
            },
            &mut |_| (),
        );
        self.end_refused(span, (name, span_name), shown, error_type, switches);
    }

    /// Ends the span of a message that reached no handler. The names are the message's, and that of its span.
    pub(super) fn end_refused(
        &self,
        span: Span,
        (name, span_name): (&'static str, &'static str),
        shown: &str,
        error_type: Cow<'static, str>,
        switches: Switches,
    ) {
        span.record(&mut |later| {
            (self.failed)(later);
            (self.refused)(later);
        });
        span.in_scope(|| {
            if switches.metrics {
                let error_type = Some(&*error_type);
                (self.count)(&metrics::Ended { name, status: "error", error_type, elapsed: Duration::ZERO });
            }
        });
        let description = (error_type == "no_handler").then(|| format!("No handler for {shown}"));
        span.fail_saying(Failed::new(self.target, span_name), error_type, description);
    }
}
