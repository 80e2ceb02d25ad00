//! Setting telemetry up: from the environment, and from code where the environment has no say.

mod batch;
#[cfg(feature = "tracing-bridge")]
mod bridge;
mod console;
mod contained;
mod env;
mod exporters;
mod flush;
mod handle;
mod ignored;
mod isolated;
#[cfg(feature = "otlp")]
mod logs;
mod losses;
#[cfg(not(feature = "otlp"))]
mod no_logs;
#[cfg(not(feature = "otlp"))]
mod no_otlp;
#[cfg(not(feature = "prometheus"))]
mod no_prometheus;
mod numbers;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "prometheus")]
mod prometheus;
mod propagator;
mod readers;
mod reporting;
mod resource;
mod sampler;
mod simple;
mod spans;
#[cfg(test)]
mod tests;
#[cfg(feature = "view")]
mod view;

#[cfg(not(feature = "otlp"))]
use no_logs as logs;
#[cfg(not(feature = "otlp"))]
use no_otlp as otlp;
#[cfg(not(feature = "prometheus"))]
use no_prometheus as prometheus;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Sampler, ShouldSample, SpanExporter, SpanProcessor};

use self::batch::Batches;
use self::console::Printing;
use self::contained::Contained;
use self::env::{Env, Signal};
use self::flush::Outlets;
use self::logs::{Loggers, Logs};
use self::losses::Losses;
use self::prometheus::Scrapes;
use self::readers::Readers;
use self::reporting::Reporting;
use self::simple::SimpleProcessor;
pub(super) use self::spans::SpanSink;
use self::spans::Spans;
use super::error_text;
use super::metrics::{self, Instruments};
use super::pipeline::{self, Pipeline, SCOPE, Sampling};
use super::processed;
use super::tree::SLOW;
use crate::telemetry::TelemetryError;
use handle::Providers;
pub use handle::{Telemetry, TelemetryGuard};

/// The prefix of the targets of our log events.
const OURS: &str = "eventsource";
/// How long flushing may take by default.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Telemetry about to be set up; created by [`Telemetry::from_env`]. Exporters, processors, samplers and views are those
/// of `opentelemetry_sdk`, in the version that this crate depends on.
#[must_use = "nothing is set up before `install` or `build`"]
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what is chosen, each for itself")]
pub struct TelemetryBuilder {
    env: Env,
    service_name: String,
    sampler: Option<(Box<dyn ShouldSample>, Sampling)>,
    spans: Spans,
    readers: Readers,
    /// What the code says of the service.
    resource: Vec<(String, String)>,
    scrapes: Scrapes,
    logs: Logs,
    /// Prints log events, if that is asked for, or in place of a subscriber.
    printing: Option<Printing>,
    console_without_endpoint: bool,
    console_traces: Option<usize>,
    console_slow: Duration,
    losses: Arc<Losses>,
    /// Why an exporter of the code could not be added.
    failed: Option<TelemetryError>,
    bridged: bool,
    span_events_as_logs: bool,
    record_error_text: bool,
    log_slow: Option<Duration>,
    timeout: Duration,
}

impl Telemetry {
    /// Reads the environment: see the table of variables on the telemetry page. `service_name` is the service's name
    /// unless the environment sets one.
    ///
    /// Spans, metrics and the log events of this crate are exported over OTLP if an endpoint is set or `otlp` is
    /// requested by name (feature `otlp`); with `console` they are printed to stderr, spans as the trace tree. Without
    /// any of these, contexts are stored and passed on, but nobody receives spans: the runtime creates none of its own.
    ///
    /// ```
    /// # async fn example() -> Result<(), eventsource_runtime::telemetry::TelemetryError> {
    /// use eventsource_runtime::telemetry::Telemetry;
    ///
    /// let telemetry = Telemetry::from_env("orders").console_without_endpoint().install()?;
    /// // … the application …
    /// telemetry.shutdown().await
    /// # }
    /// ```
    pub fn from_env(service_name: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder::new(service_name.into(), Env::of_process())
    }

    /// Ignores the variables that choose what is sampled or exported, and where to: the code decides. For tests, and
    /// for programs that are configured some other way. `OTEL_SDK_DISABLED` does not affect exports either, but it
    /// still switches the spans and metrics of this crate off.
    ///
    /// OpenTelemetry's SDK still reads its own limits: `OTEL_BSP_*` for batches of spans, `OTEL_SPAN_*_LIMIT` and the
    /// like for a span's attributes, events and links, `OTEL_METRIC_EXPORT_*` for the interval of metrics.
    pub fn builder(service_name: impl Into<String>) -> TelemetryBuilder {
        TelemetryBuilder::new(service_name.into(), Env::default())
    }
}

impl TelemetryBuilder {
    fn new(service_name: String, env: Env) -> Self {
        Self {
            env,
            service_name,
            sampler: None,
            spans: Spans::default(),
            readers: Readers::default(),
            resource: Vec::new(),
            scrapes: Scrapes::default(),
            logs: Logs::default(),
            printing: None,
            console_without_endpoint: false,
            console_traces: None,
            console_slow: SLOW,
            losses: Arc::default(),
            failed: None,
            bridged: false,
            span_events_as_logs: false,
            record_error_text: false,
            log_slow: None,
            timeout: TIMEOUT,
        }
    }

    /// Prints the trace tree to stderr if the environment does not say where spans go: neither `OTEL_TRACES_EXPORTER`, be
    /// it `none`, nor an OTLP endpoint for them. What it says of metrics and logs does not count.
    ///
    /// Wherever the tree is printed, the warnings and errors that this crate logs are printed beside it, a line each, while
    /// there is no `tracing` subscriber, unless they are exported or `OTEL_LOGS_EXPORTER` is set. The failure of a span is
    /// in the tree alone.
    pub fn console_without_endpoint(mut self) -> Self {
        self.console_without_endpoint = true;
        self
    }

    /// Prints only the first `limit` traces, wherever the trace tree is printed.
    pub fn console_traces(mut self, limit: usize) -> Self {
        self.console_traces = Some(limit);
        self
    }

    /// Marks spans that took this long by themselves as slow in the trace tree; 100 milliseconds by default.
    pub fn console_slow(mut self, from: Duration) -> Self {
        self.console_slow = from;
        self
    }

    /// Adds a processor, before those that the environment asks for. It is called on the threads that make and end spans;
    /// its panics end there.
    pub fn span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.spans.add(Contained(processor));
        self
    }

    /// Adds an exporter that gets its spans in batches, on a thread of its own. It may fail, hang or panic: what it
    /// does not take is dropped, and counted in `otel.sdk.processor.span.processed`.
    ///
    /// While its exports have failed three times in a row, or one hangs or has failed with a full queue, the runtime
    /// does not create its own spans: they count as dropped. What runs in them is in the trace of the first of them.
    pub fn span_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        let exporter = Reporting::new(exporter, Signal::Traces, &self.losses);
        let batches = Batches::new(exporter, &self.losses, &self.env.ignored);
        let added = batches.map(|batches| self.spans.export(batches));
        self.started(added)
    }

    /// Keeps the first failure for the set-up to tell.
    fn started(mut self, added: Result<(), TelemetryError>) -> Self {
        self.failed = self.failed.or(added.err());
        self
    }

    /// Adds an exporter that gets each span as it ends, on the thread that ends it: for tests.
    pub fn simple_exporter(self, exporter: impl SpanExporter + 'static) -> Self {
        self.span_processor(SimpleProcessor::new(exporter))
    }

    /// Adds a metric exporter, which gets metrics every `OTEL_METRIC_EXPORT_INTERVAL` and on each flush.
    pub fn metric_exporter(mut self, exporter: impl PushMetricExporter) -> Self {
        let exporter = Reporting::new(exporter, Signal::Metrics, &self.losses);
        self.readers.export(exporter, &self.env.ignored);
        self
    }

    /// Adds readers and views of metrics, through the builder of OpenTelemetry's SDK, which has no type for readers in
    /// general. A set-up that fails, or that `OTEL_SDK_DISABLED` switches off, does not call `add`: make readers in it,
    /// since their threads end only with a set-up.
    pub fn meters(mut self, add: impl FnOnce(MeterProviderBuilder) -> MeterProviderBuilder + Send + 'static) -> Self {
        self.readers.add(add);
        self
    }

    /// Emits log events instead of span events (`domain_event_produced`, `event_persisted`), with the ids of the span:
    /// for backends that do not show span events, and for commands of more than the 128 events that a span keeps. As
    /// with span events, there are none for a span that does not record.
    pub fn span_events_as_logs(mut self) -> Self {
        self.span_events_as_logs = true;
        self
    }

    /// Records the text of errors, with their causes, up to [`MAX_TEXT`](crate::telemetry::MAX_TEXT) bytes: as the
    /// description of a failed span's status, and as `exception.message` of the log record of the failure, or of the
    /// refusal of a command. Off by default, since users' errors may quote what others must not read; a failure is then
    /// reported only by its `error.type`.
    ///
    /// ```
    /// # fn main() -> Result<(), eventsource_runtime::telemetry::TelemetryError> {
    /// use eventsource_runtime::telemetry::Telemetry;
    ///
    /// let telemetry = Telemetry::builder("orders").record_error_text(true).build()?;
    /// # telemetry.shutdown_blocking()
    /// # }
    /// ```
    pub fn record_error_text(mut self, enabled: bool) -> Self {
        self.record_error_text = enabled;
        self
    }

    /// Logs commands, queries and database calls that take this long as slow; by default a second, if somebody reads
    /// metrics or log records anyway. A component whose metrics are off measures nothing, and so nothing of it is slow.
    pub fn log_slow(mut self, from: Duration) -> Self {
        self.log_slow = Some(from);
        self
    }

    /// How long flushing may take, in [`Telemetry::force_flush`] and [`Telemetry::shutdown`]; 5 seconds by default.
    /// Metrics are exported last, since they tell what became of spans and log records, for which they wait at most
    /// half of that time. The last metrics of a shutdown have at most 5 seconds: OpenTelemetry's reader waits no more.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets telemetry up for the process, as OpenTelemetry's global one, with the propagator of `OTEL_PROPAGATORS`. It
    /// replaces a set-up installed before, whose owner still has to shut that down. If `OTEL_SDK_DISABLED` is `true`,
    /// only the propagator is set.
    ///
    /// Without a metric exporter, it leaves OpenTelemetry's global meters as they are, and measurements go to them.
    /// Likewise, if nothing receives its spans, it leaves a tracer provider that somebody else set, and spans go there. A
    /// provider that somebody sets later replaces this one, for spans or for metrics.
    ///
    /// # Errors
    /// The environment asks for something that is missing, or an exporter cannot be created.
    pub fn install(self) -> Result<Telemetry, TelemetryError> {
        let propagators = self.env.propagators();
        let telemetry = self.set_up(true)?;
        telemetry.install_propagators(&propagators);
        Ok(telemetry)
    }

    /// Sets telemetry up only for what [`Telemetry::attach`] or [`Telemetry::run`] surrounds: for tests, and for
    /// several set-ups in one process.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        self.set_up(false)
    }

    fn set_up(self, installed: bool) -> Result<Telemetry, TelemetryError> {
        let ignored = self.env.ignored.clone();
        let telemetry = self.create(installed);
        ignored.tell(telemetry.as_ref().ok());
        telemetry
    }

    fn create(mut self, installed: bool) -> Result<Telemetry, TelemetryError> {
        let disabled = self.env.is_disabled();
        let sampling = if disabled {
            (self.spans, self.readers, self.logs, self.scrapes, self.printing) = Default::default();
            self.spans.sample(Sampler::AlwaysOff);
            Sampling::AlwaysOff
        } else {
            self.failed.take().map_or(Ok(()), Err)?;
            self.add_exporters()?;
            self.choose_sampler()
        };
        if self.record_error_text {
            error_text::is_recorded();
        }
        let resource = self.env.resource(&self.service_name, self.resource);
        let sink = if self.bridged || self.span_events_as_logs { SpanSink::Open } else { self.spans.sink() };
        let has_global_spans = installed && !disabled && pipeline::takes_spans(&sink);
        let mut outlets = Outlets::new(self.timeout, &self.losses);
        let exports_spans = self.spans.are_exported();
        let tracers = self.spans.build(&resource, &mut outlets);
        let loggers = self.logs.build(&resource, &mut outlets);
        self.printing.iter().for_each(|printing| printing.drains(&mut outlets));
        let metered = !self.readers.is_empty();
        let meters = self.readers.build(resource, &mut outlets);
        self.scrapes.begin();
        let exported = loggers.as_ref().map(Loggers::subscriber);
        let meter = meters.meter_with_scope(SCOPE.clone());
        let mut instruments = Instruments::new(&meter);
        if metered {
            instruments = instruments.observing(&meter);
        }
        let own_meter = metered.then_some(&instruments.meter_id);
        if exports_spans {
            processed::tell_spans(own_meter, &self.losses.spans);
        }
        if loggers.is_some() {
            processed::tell_logs(own_meter, &self.losses.logs);
        }
        let stands_in = self.printing.as_ref().is_some_and(|printing| printing.stands_in);
        let logs_are_wanted = loggers.is_some() || self.printing.is_some() && !stands_in;
        let pipeline = Pipeline {
            tracer: tracers.tracer_with_scope(SCOPE.clone()),
            sampling,
            bridged: self.bridged,
            sink,
            span_events_as_logs: self.span_events_as_logs,
            error_text: self.record_error_text,
            logs: match &self.printing {
                Some(printing) => Some(printing.subscriber(exported)),
                None => exported,
            },
            logs_stand_in: stands_in,
            instruments,
            // Slow operations are measured for the log, too.
            metered: metered || self.log_slow.is_some() || logs_are_wanted,
            slow: self.log_slow.unwrap_or(metrics::SLOW),
            has_global_spans,
            has_global_meters: Arc::new(AtomicBool::new(metered)),
        };
        let providers = Providers { tracers, meters, loggers, prints_logs: self.printing.is_some(), outlets };
        Ok(Telemetry::new(pipeline, providers, installed && !disabled))
    }
}

pub(super) fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(OURS)
}
