//! A call to a store, from its beginning to its end, with what is told of it.

use std::error::Error;
use std::future::Future;
use std::time::Instant;

use super::{AppendError, StoreError, StoreInfo};
use crate::telemetry::{Attributes, Chain, Span, log, metrics};

/// A call to the store that is under way.
pub(crate) struct Call {
    pub(super) span: Span,
    pub(super) info: StoreInfo,
    pub(super) operation: &'static str,
    pub(super) begun: Option<Instant>,
}

impl Call {
    /// Makes the call in its span, without ending it.
    pub(crate) async fn run<F: Future>(&self, made: F) -> F::Output {
        self.span.run(made).await
    }

    pub(crate) fn end(self, fault: Option<Fault<'_>>, record: &mut dyn FnMut(&mut Attributes)) {
        if let Some(begun) = self.begun {
            let elapsed = begun.elapsed();
            if metrics::store_operation(&self.info, self.operation, fault, elapsed) {
                self.span.in_scope(|| log::store_slow(self.info.target, self.operation, elapsed));
            }
        }
        match fault {
            None => {
                self.span.record(record);
                self.span.succeed();
            }
            Some(Fault { error_type, error }) => self.span.fail(self.info.target, error_type, &Chain(error)),
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
