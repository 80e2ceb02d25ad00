//! Logs in a build without the feature `otlp`: they go to the application's subscriber of `tracing` alone.

use opentelemetry_sdk::Resource;
use tracing::Dispatch;

use super::flush::Outlets;

#[derive(Debug, Default)]
pub(super) struct Logs(());

pub(super) enum Loggers {}

impl Logs {
    #[allow(clippy::unused_self)] // As its twin has it.
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    #[allow(clippy::unused_self)] // As its twin has it.
    pub(super) fn build(self, _resource: &Resource, _outlets: &mut Outlets) -> Option<Loggers> {
        None
    }
}

impl Loggers {
    pub(super) fn subscriber(&self) -> Dispatch {
        match *self {}
    }
}
