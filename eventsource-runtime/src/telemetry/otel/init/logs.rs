//! Exports our log events as log records of OpenTelemetry, through its appender for `tracing`.
//!
//! They go to a private subscriber of the set-up, so that they are exported whether or not the application has a
//! subscriber, and whatever that filters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord as _, LoggerProvider};
use opentelemetry::{Array, Context, InstrumentationScope, Value};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder, BatchLogProcessor, LogBatch, LogExporter, LogProcessor, LoggerProviderBuilder, SdkLogRecord,
    SdkLogger, SdkLoggerProvider,
};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::batch::{Admission, BATCH, Batches};
use super::contained::started;
use super::env::Signal;
use super::flush::Outlets;
use super::ignored::Ignored;
use super::isolated::{Processor, Shared, isolated};
use super::losses::Losses;
use super::numbers::{milliseconds, most_waiting, size};
use super::reporting::Reporting;
use super::{OURS, Telemetry, TelemetryBuilder, is_ours};
use crate::telemetry::TelemetryError;
use crate::telemetry::log::Named;
use crate::telemetry::otel::pipeline::SCOPE;

/// How long log records wait for a batch by default, as in OpenTelemetry.
const DELAY: Duration = Duration::from_secs(1);

/// An exporter, behind its queue.
type Exporting = Batches<BatchLogProcessor>;

/// The exporters of logs, before the set-up.
#[derive(Default)]
pub(super) struct Logs {
    exporters: Vec<Exporting>,
}

impl Logs {
    pub(super) fn add(
        &mut self,
        exporter: Reporting<impl LogExporter + 'static>,
        losses: &Arc<Losses>,
        ignored: &Ignored,
    ) -> Result<(), TelemetryError> {
        let most = most_waiting("OTEL_BLRP_MAX_QUEUE_SIZE", ignored);
        let admission = Admission::new(most, &losses.logs, losses);
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(most)
            .with_max_export_batch_size(size("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", BATCH, ignored))
            .with_scheduled_delay(milliseconds("OTEL_BLRP_SCHEDULE_DELAY", DELAY, ignored))
            .build();
        let builder = BatchLogProcessor::builder(exporter.behind(&admission)).with_batch_config(config);
        self.exporters.push(Batches { processor: started(|| builder.build())?, admission });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exporters.is_empty()
    }

    /// `None` if nothing is exported.
    pub(super) fn build(self, resource: &Resource, outlets: &mut Outlets) -> Option<Loggers> {
        if self.is_empty() {
            return None;
        }
        // Not by the provider: what it has is shared, and can no longer be changed.
        let exporters = self.exporters.into_iter().map(|mut exporter| {
            exporter.set_resource(resource);
            Arc::new(exporter)
        });
        let exporters = isolated(exporters);
        // Once: what one processor adds, the next ones have as well.
        let loggers = SdkLoggerProvider::builder().with_resource(resource.clone()).with_log_processor(Naming);
        let loggers = exporters.iter().cloned().fold(loggers, LoggerProviderBuilder::with_log_processor).build();
        let (provider, timeout) = (loggers.clone(), outlets.timeout);
        outlets.add_each(Signal::Logs, exporters, move || provider.shutdown_with_timeout(timeout));
        Some(Loggers(loggers))
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("exported", &!self.is_empty()).finish()
    }
}

/// What creates log records. It gives the appender, which asks for a logger of no scope, one of ours: OTLP writes the
/// target in place of the scope's name, and its version and schema as they are.
pub(super) struct Loggers(SdkLoggerProvider);

impl Loggers {
    /// The subscriber for our events. It wants nothing else, and says so: otherwise every place of the program that
    /// logs would have to ask.
    pub(super) fn subscriber(&self) -> Dispatch {
        let ours = Targets::new().with_target(OURS, LevelFilter::INFO);
        Dispatch::new(Registry::default().with(ours).with(OpenTelemetryTracingBridge::new(self)))
    }
}

impl LoggerProvider for Loggers {
    type Logger = SdkLogger;

    fn logger_with_scope(&self, _: InstrumentationScope) -> SdkLogger {
        self.0.logger_with_scope(SCOPE.clone())
    }
}

impl Processor for Exporting {
    fn flush(&self) -> OTelSdkResult {
        self.force_flush()
    }

    fn end(&self, timeout: Duration) -> OTelSdkResult {
        self.shutdown_with_timeout(timeout)
    }
}

impl LogProcessor for Shared<Exporting> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.processor.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.end(timeout)
    }
}

impl LogProcessor for Exporting {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.admission.enter() {
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.admission.answer(|| self.processor.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.admission.close();
        self.admission.answer(|| self.processor.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// Adds attributes named by users on a span event that became a record.
#[derive(Debug)]
struct Naming;

impl LogProcessor for Naming {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        Context::map_current(|current| {
            let named = current.get::<Named>().into_iter().flat_map(|Named(attributes)| attributes);
            record.add_attributes(named.map(|attribute| (attribute.key.clone(), logged(&attribute.value))));
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn logged(value: &Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::from(*value),
        Value::I64(value) => AnyValue::from(*value),
        Value::F64(value) => AnyValue::from(*value),
        Value::String(value) => AnyValue::from(value.clone()),
        Value::Array(Array::String(values)) => values.iter().cloned().collect(),
        other => AnyValue::from(other.to_string()),
    }
}

impl<E: LogExporter> LogExporter for Reporting<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.leaving(batch.iter().count(), || self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    /// What OpenTelemetry calls, and all that some exporters have.
    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl TelemetryBuilder {
    /// Adds a log exporter, which gets the log events of this crate in batches, on a thread of its own, whether or not
    /// the application has a `tracing` subscriber. It may fail, hang or panic.
    pub fn log_exporter(mut self, exporter: impl LogExporter + 'static) -> Self {
        let exporter = Reporting::new(exporter, Signal::Logs, &self.losses);
        let added = self.logs.add(exporter, &self.losses, &self.env.ignored);
        self.started(added)
    }
}

impl Telemetry {
    /// A layer for the application's own `tracing` subscriber that exports the application's log events to where this
    /// set-up sends logs, with the ids of their trace and span. The events of this crate go there by themselves. If no
    /// logs are exported it is `None`, which is a layer as well.
    ///
    /// What the exporters log themselves is never exported.
    ///
    /// ```
    /// use eventsource_runtime::telemetry::Telemetry;
    /// use tracing_subscriber::layer::SubscriberExt as _;
    ///
    /// # fn main() -> Result<(), eventsource_runtime::telemetry::TelemetryError> {
    /// let telemetry = Telemetry::builder("orders").build()?;
    /// let subscriber = tracing_subscriber::registry().with(telemetry.log_layer());
    /// # drop(subscriber);
    /// # telemetry.shutdown_blocking()
    /// # }
    /// ```
    #[must_use]
    pub fn log_layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let theirs = |metadata: &Metadata<'_>| !is_ours(metadata.target());
        Some(OpenTelemetryTracingBridge::new(&self.loggers()?.0).with_filter(filter_fn(theirs)))
    }
}
