//! A store call from beginning to end, and its telemetry.

use std::error::Error;
use std::future::Future;
use std::time::Instant;

use super::{AppendError, StoreError, StoreInfo, status_code};
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Span, log, metrics, names};

/// A store call in flight.
pub(crate) struct Call {
    pub(super) span: Span,
    /// The name of the span, whether there is one or not, and of the operation.
    pub(super) what: (&'static str, &'static str),
    /// When it began, if its duration is measured.
    pub(super) begun: Option<Instant>,
}

impl Call {
    /// Makes the call in its span, without ending it.
    pub(crate) fn run<F: Future>(&self, made: F) -> impl Future<Output = F::Output> {
        self.span.run(made)
    }

    /// The store's info is asked for only if it is reported.
    pub(crate) fn end(
        self,
        info: impl FnOnce() -> StoreInfo,
        fault: Option<Fault<'_>>,
        record: &mut dyn FnMut(&mut Attributes),
    ) {
        let Self { span, what: (name, operation), begun } = self;
        let info = (begun.is_some() || fault.is_some()).then(info);
        if let (Some(info), Some(begun)) = (&info, begun) {
            let elapsed = begun.elapsed();
            if metrics::store_operation(info, operation, fault, elapsed) {
                span.in_scope(|| log::store_slow(info.target, operation, elapsed));
            }
        }
        if let (Some(Fault { error_type, error }), Some(info)) = (fault, info) {
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
