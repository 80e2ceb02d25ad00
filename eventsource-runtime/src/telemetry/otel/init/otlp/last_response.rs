//! The last response of a receiver, or why it was not reached. The exporter's crate tells neither.

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use crate::sync::Mutex;

/// What a receiver responded to the last export of one exporter, if it did.
#[derive(Debug, Default)]
pub(in crate::telemetry::otel::init) struct LastResponse(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    trouble: Option<String>,
    rejected: Option<(u64, String)>,
}

impl LastResponse {
    /// What is in the way, until there is another response.
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
