//! A store call from beginning to end, and its telemetry.

use std::error::Error;
use std::future::Future;
use std::mem;
use std::time::Instant;

use super::{AppendError, StoreError, StoreInfo, status_code};
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Span, log, metrics, names, tell_dropped};

/// A store call in flight. A caller that drops its future, for instance because its time is over, goes past the usual
/// end; the call is measured all the same.
pub(crate) struct Call {
    pub(super) span: Span,
    /// The name of the span, whether there is one or not, and of the operation.
    pub(super) what: (&'static str, &'static str),
    /// If its duration is measured.
    pub(super) measured: Option<Box<Measured>>,
}

/// When a measured call began, and at which store. It counts as one that waits for as long as this is kept.
pub(super) struct Measured {
    begun: Instant,
    info: StoreInfo,
    _waiting: Option<metrics::Waiting>,
}

impl Measured {
    pub(super) fn begin(info: &StoreInfo) -> Self {
        Self { begun: Instant::now(), info: info.clone(), _waiting: metrics::store_waits(info) }
    }

    fn end(&self, span: &Span, operation: &'static str, fault: Option<Fault<'_>>) {
        let elapsed = self.begun.elapsed();
        if metrics::store_operation(&self.info, operation, fault, elapsed) {
            span.in_scope(|| log::store_slow(self.info.target, operation, elapsed));
        }
    }
}

impl Call {
    /// Makes the call in its span, without ending it.
    pub(crate) fn run<F: Future>(&self, made: F) -> impl Future<Output = F::Output> {
        self.span.run(made)
    }

    /// The store's info is asked for only if it is reported.
    pub(crate) fn end(
        mut self,
        info: impl FnOnce() -> StoreInfo,
        fault: Option<Fault<'_>>,
        record: &mut dyn FnMut(&mut Attributes),
    ) {
        let (name, operation) = self.what;
        let measured = self.measured.take();
        if let Some(measured) = &measured {
            measured.end(&self.span, operation, fault);
        }
        let span = mem::replace(&mut self.span, Span::OFF);
        if let Some(Fault { error_type, error }) = fault {
            let info = measured.map_or_else(info, |measured| measured.info);
            span.record(&mut |later| {
                if let Some(code) = status_code(error) {
                    later.string(names::DB_RESPONSE_STATUS_CODE, code);
                }
            });
            if error.downcast_ref().and_then(AppendError::conflict).is_some() {
                span.conflict(info.target, error_type, &Chain(error));
            } else {
                span.fail(Failed::new(info.target, name), error_type, &Chain(error));
            }
        } else {
            span.record(record);
            span.succeed();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(measured) = self.measured.take() else { return };
        tell_dropped(|error_type| measured.end(&self.span, self.what.1, Some(Fault { error_type, error: &NoAnswer })));
    }
}

/// There was no answer in time, or it was of no use.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

/// How a call failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) error_type: &'static str,
    pub(crate) error: &'a (dyn Error + 'static),
}

impl<'a> From<&'a StoreError> for Fault<'a> {
    fn from(error: &'a StoreError) -> Self {
        Self { error_type: error.error_type(), error }
    }
}

impl<'a> From<&'a AppendError> for Fault<'a> {
    fn from(error: &'a AppendError) -> Self {
        Self { error_type: error.error_type(), error }
    }
}
