//! Prints metrics and log events as lines to stderr.

use std::fmt::{self, Display, Write as _};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use super::env::Signal;
use super::flush::Outlets;
use super::{TelemetryBuilder, is_ours};
use crate::telemetry::log::{self, Named};
use crate::telemetry::otel::line;
use crate::telemetry::otel::tree::{Console, Writer};

/// How long a flush waits for the terminal.
pub(super) const LONGEST_FLUSH: Duration = Duration::from_secs(5);

impl TelemetryBuilder {
    /// What prints the trace tree to stderr.
    pub(super) fn console(&self) -> Console {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let color = terminal && self.env.get("NO_COLOR").is_none() && self.env.get("TERM") != Some("dumb");
        let width = self.env.get("COLUMNS").and_then(|columns| columns.parse().ok());
        Console::on_stderr(width, color, self.console_traces, self.console_slow)
    }
}

/// Prints metrics, a line per point: `name [unit] key=value: 3`, or `count=3 sum=0.25` for a histogram.
///
/// It waits for no terminal: the readers of one set-up are flushed and shut down one after the other.
pub(super) struct ConsoleMetrics(Printing);

impl PushMetricExporter for ConsoleMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut text = String::new();
        for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
            match metric.data() {
                AggregatedMetrics::F64(data) => points(metric, data, &mut text),
                AggregatedMetrics::U64(data) => points(metric, data, &mut text),
                AggregatedMetrics::I64(data) => points(metric, data, &mut text),
            }
        }
        self.0.writer.print(text);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn points<T: Copy + Display>(metric: &Metric, data: &MetricData<T>, text: &mut String) {
    let mut point = |attributes: &mut dyn Iterator<Item = &KeyValue>, value: fmt::Arguments<'_>| {
        // The names may be a library's, as the attributes are.
        line::inert(text, format_args!("{} [{}]", metric.name(), metric.unit()));
        // The SDK has them in no order.
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        line::add(text, attributes);
        let _ = writeln!(text, ": {value}");
    };
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().for_each(|each| point(&mut each.attributes(), format_args!("{}", each.value())));
        }
        MetricData::Sum(sum) => {
            sum.data_points().for_each(|each| point(&mut each.attributes(), format_args!("{}", each.value())));
        }
        MetricData::Histogram(histogram) => histogram.data_points().for_each(|each| {
            point(&mut each.attributes(), format_args!("count={} sum={}", each.count(), each.sum()));
        }),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().for_each(|each| {
            point(&mut each.attributes(), format_args!("count={} sum={}", each.count(), each.sum()));
        }),
    }
}

/// Prints the log events of this crate, and passes them on to any exporter.
pub(super) struct ConsoleLogs {
    printing: Printing,
    next: Option<Dispatch>,
}

/// What must be printed before the program ends.
#[derive(Clone)]
pub(super) struct Printing {
    writer: Arc<Writer>,
    /// Whether it prints log events in place of a subscriber, while there is none.
    pub(super) stands_in: bool,
}

impl fmt::Debug for Printing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Printing")
    }
}

impl Printing {
    pub(super) fn to(out: impl Write + Send + 'static, what: &'static str) -> Self {
        Self { writer: Arc::new(Writer::start(Box::new(out), what)), stands_in: false }
    }

    /// Prints log events beside the trace trees, for those who have no subscriber: what the trees do not show.
    pub(super) fn in_place_of_a_subscriber(out: impl Write + Send + 'static) -> Self {
        Self { stands_in: true, ..Self::to(out, "log events") }
    }

    /// What metrics are exported to.
    pub(super) fn metrics(&self) -> ConsoleMetrics {
        ConsoleMetrics(self.clone())
    }

    /// The subscriber that our events go to.
    pub(super) fn subscriber(&self, next: Option<Dispatch>) -> Dispatch {
        Dispatch::new(ConsoleLogs { printing: self.clone(), next })
    }

    pub(super) fn drains(&self, outlets: &mut Outlets) {
        let (flushed, ended, timeout) = (self.clone(), self.clone(), outlets.timeout);
        outlets.add(Signal::Logs, move || flushed.drain(LONGEST_FLUSH), move || ended.drain(timeout));
    }

    pub(super) fn drain(&self, timeout: Duration) -> OTelSdkResult {
        if self.writer.drain(timeout) { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }
}

impl ConsoleLogs {
    /// In place of a subscriber there are warnings and errors: what else happens is in the trees, as is every failed
    /// span.
    fn least_severe(&self) -> Level {
        if self.printing.stands_in { Level::WARN } else { Level::INFO }
    }

    fn is_in_trees(&self, metadata: &Metadata<'_>) -> bool {
        self.printing.stands_in && metadata.name() == log::SPAN_FAILED
    }
}

/// It wants only our events, and says so: otherwise every place of the program that logs would have to ask.
impl Subscriber for ConsoleLogs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wanted = metadata.is_event() && *metadata.level() <= self.least_severe() && is_ours(metadata.target());
        is_wanted && !self.is_in_trees(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.least_severe().into())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = line::of(event, event.metadata());
        Context::map_current(|current| {
            line::add(&mut text, current.get::<Named>().into_iter().flat_map(|Named(attributes)| attributes));
        });
        text.push('\n');
        self.printing.writer.print(text);
        if let Some(next) = self.next.as_ref().filter(|next| next.enabled(event.metadata())) {
            next.event(event);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    use tracing::dispatcher::with_default;

    use super::super::ignored::Ignored;
    use super::super::readers::Readers;
    use super::*;
    use crate::telemetry::otel::screen::{Screen, Stopped};
    use crate::telemetry::{TelemetryError, names};

    #[test]
    fn a_point_is_a_line_whatever_its_attributes_hold() {
        let out = Screen::default();
        let printing = Printing::to(out.clone(), "metrics");
        let reader = PeriodicReader::builder(printing.metrics()).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = meters.meter("tests");
        let hostile = [KeyValue::new("who", "a\nb\u{1b}[2J\u{202e}")];
        meter.u64_counter("made").with_unit("{thing}").build().add(3, &hostile);
        let seconds = meter.f64_histogram("took").with_unit("s").build();
        seconds.record(0.25, &[]);
        seconds.record(0.5, &[]);
        meter.i64_gauge("level").with_unit("1").build().record(-7, &[KeyValue::new("of", "a tank=b")]);
        meters.force_flush().and(printing.drain(LONGEST_FLUSH)).unwrap();
        let mut lines: Vec<_> = out.text().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "level [1] of=\"a tank=b\": -7",
                "made [{thing}] who=a\\u{a}b\\u{1b}[2J\\u{202e}: 3",
                "took [s]: count=2 sum=0.75"
            ]
        );
        meters.shutdown().unwrap();
    }

    /// It held up all readers behind it.
    #[test]
    fn a_terminal_that_was_stopped_holds_up_no_other_reader_of_metrics() {
        let (screen, on) = (Screen::default(), Arc::default());
        let printing = Printing::to(Stopped { screen: screen.clone(), on: Arc::clone(&on) }, "metrics");
        let exporter = InMemoryMetricExporter::default();
        let mut readers = Readers::default();
        readers.print(printing, &Ignored::default());
        readers.export(exporter.clone(), &Ignored::default());
        let mut outlets = Outlets::new(Duration::from_millis(1), &Arc::default());
        let meters = readers.build(Resource::builder_empty().build(), &mut outlets);
        let stopped = on.lock();
        meters.meter("tests").u64_counter("made").build().add(3, &[]);
        let shutdown = outlets.shutdowns[0].ask().unwrap();
        let ended = shutdown.wait(Duration::from_mins(1), Duration::ZERO);
        assert!(matches!(ended, Err(TelemetryError::NotExported { signal: "metrics", .. })), "{ended:?}");
        assert_eq!(exporter.get_finished_metrics().unwrap().len(), 1);
        assert_eq!(screen.text(), "");
        drop(stopped);
    }

    #[test]
    fn a_log_event_is_a_line_and_goes_on() {
        let (first, second) = (Screen::default(), Screen::default());
        let (printing, next) = (Printing::to(first.clone(), "log events"), Printing::to(second.clone(), "log events"));
        let told = || tracing::warn!(target: "eventsource::tests", who = "a\nb", of = "c d=e", "two\nlines");
        with_default(&printing.subscriber(Some(next.subscriber(None))), told);
        for (printing, out) in [(printing, first), (next, second)] {
            printing.drain(LONGEST_FLUSH).unwrap();
            assert_eq!(out.text(), "[warn] eventsource::tests: two\\u{a}lines who=a\\u{a}b of=\"c d=e\"\n");
        }
    }

    #[test]
    fn in_place_of_a_subscriber_there_is_what_no_tree_shows() {
        let out = Screen::default();
        let printing = Printing::in_place_of_a_subscriber(out.clone());
        with_default(&printing.subscriber(None), || {
            tracing::error!(target: "eventsource::tests", why = "a\nb", "stopped");
            tracing::warn!(target: "eventsource::tests", "retried");
            tracing::info!(target: "eventsource::tests", "rejected");
            tracing::error!(target: "shop", "theirs");
            log::failure(log::Failed::new(names::LOG_PROJECTION, "projection.Orders"), "Closed", None);
        });
        printing.drain(LONGEST_FLUSH).unwrap();
        let lines = ["[error] eventsource::tests: stopped why=a\\u{a}b", "[warn] eventsource::tests: retried"];
        assert_eq!(out.text().lines().collect::<Vec<_>>(), lines);
    }
}
