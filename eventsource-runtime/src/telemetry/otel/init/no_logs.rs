//! Logs in a build without the feature `otlp`: they go to the application's subscriber of `tracing` alone.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use tracing::Dispatch;

use super::flushes::Flushes;

#[derive(Debug, Default)]
pub(super) struct Logs(());

#[derive(Clone)]
pub(super) enum Loggers {}

impl Logs {
    #[allow(clippy::unused_self)] // As its twin has it.
    pub(super) fn clear(&mut self) {}

    #[allow(clippy::unused_self)]
    pub(super) fn build(self, _resource: &Resource) -> Option<Loggers> {
        None
    }
}

impl Loggers {
    pub(super) fn subscriber(&self) -> Dispatch {
        match *self {}
    }

    pub(super) fn flushes(&self, _timeout: Duration) -> Vec<Arc<Flushes>> {
        match *self {}
    }

    pub(super) fn shutdown(&self, _timeout: Duration) -> Vec<Arc<Flushes>> {
        match *self {}
    }
}
