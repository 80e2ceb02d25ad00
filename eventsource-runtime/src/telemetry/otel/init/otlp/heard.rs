//! What was heard of a receiver: why it was not reached, or what it did not take. The exporter's crate tells neither.

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use crate::sync::Mutex;

/// What was heard during the last export of one exporter.
#[derive(Debug, Default)]
pub(in crate::telemetry::otel::init) struct Heard(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    trouble: Option<String>,
    rejected: Option<(u64, String)>,
}

impl Heard {
    /// What is in the way, if nothing else is heard.
    pub(super) fn trouble(&self, trouble: String) {
        *self.0.lock() = Last { trouble: Some(trouble), rejected: None };
    }

    /// An answer that all is well, and what the receiver did not take.
    pub(super) fn answer(&self, rejected: Option<(u64, String)>) {
        *self.0.lock() = Last { trouble: None, rejected };
    }

    /// The result of an export, with what was in its way.
    pub(in crate::telemetry::otel::init) fn explained(&self, result: OTelSdkResult) -> OTelSdkResult {
        let trouble = self.0.lock().trouble.take();
        result.map_err(|error| trouble.map_or(error, OTelSdkError::InternalFailure))
    }

    /// How many items the receiver did not take of an export that went well, and what it says of that, once.
    pub(in crate::telemetry::otel::init) fn rejected(&self) -> Option<(u64, String)> {
        self.0.lock().rejected.take()
    }
}
