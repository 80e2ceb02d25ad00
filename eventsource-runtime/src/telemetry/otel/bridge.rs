//! Spans as `tracing` spans, for filters, formatters and other layers that work on these.
//!
//! A `tracing` span is created first, and the layer of `tracing-opentelemetry` creates OpenTelemetry's from it; the
//! rest of the crate works on that one, as on any. So both trees are one tree, and each nests in the other.

use std::time::SystemTime;

use opentelemetry::trace::{SpanBuilder, SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::span::EnteredSpan;
use tracing::subscriber::{Interest, NoSubscriber};
use tracing::{Dispatch, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{self, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::init::is_ours;
use super::pipeline::SCOPE;
use super::toggle;
use crate::telemetry::{Telemetry, names};

/// The `tracing` span that a context's span was created from.
#[derive(Clone)]
struct Origin(tracing::Span);

/// When the span below a context began. Whatever is made below that one would get it too, but a span that is backdated
/// is over when it is made.
struct Since(SystemTime);

/// What is entered beside a context.
pub(super) type Bridged = Option<EnteredSpan>;

/// The result of creating a span.
pub(super) enum Made {
    /// A span of both.
    Span(Context),
    /// A filter of the subscriber rejects it.
    Disabled,
    /// There is no subscriber here, or none with the layer.
    Nothing,
}

/// A callsite for each target, since a target is part of it.
macro_rules! span_of {
    ($target:expr, $is_root:expr, $name:expr, $kind:expr) => {
        if $is_root {
            tracing::info_span!(target: $target, parent: None, "span", otel.name = $name, otel.kind = $kind)
        } else {
            tracing::info_span!(target: $target, "span", otel.name = $name, otel.kind = $kind)
        }
    };
}

/// Creates the span that `builder` describes, below `parent`; `is_root` means that it is not the current one, and
/// `is_ours` that a component creates it.
pub(super) fn make(builder: &SpanBuilder, parent: &Context, (is_root, is_ours): (bool, bool)) -> Made {
    if builder.start_time.is_some() && !backdates() {
        return Made::Nothing;
    }
    let component = if is_ours { first(&builder.name) } else { "" };
    let span = new((component, &builder.name), kind(builder.span_kind.as_ref()), is_root);
    if span.is_disabled() {
        return if is_alone() { Made::Nothing } else { Made::Disabled };
    }
    let parent = builder.start_time.map_or_else(|| parent.clone(), |since| parent.with_value(Since(since)));
    if span.set_parent(parent).is_err() {
        return Made::Nothing;
    }
    for attribute in builder.attributes.iter().flatten() {
        span.set_attribute(attribute.key.clone(), attribute.value.clone());
    }
    for link in builder.links.iter().flatten() {
        span.add_link_with_attributes(link.span_context.clone(), link.attributes.clone());
    }
    let context = span.context();
    // Some other layer wants it, and the filter of this one does not.
    if !context.has_active_span() {
        return Made::Disabled;
    }
    Made::Span(context.with_value(Origin(span)))
}

/// Whether there is no subscriber here that could have rejected a span.
fn is_alone() -> bool {
    tracing::dispatcher::get_default(Dispatch::is::<NoSubscriber>)
}

/// Whether the layer here is ours: `tracing` itself cannot backdate, and another one begins spans when they are made.
fn backdates() -> bool {
    tracing::dispatcher::get_default(Dispatch::is::<Spans>)
}

/// The part of a name that tells the component.
fn first(name: &str) -> &str {
    name.split_once(['.', ' ']).map_or(name, |(first, _)| first)
}

fn new((component, name): (&str, &str), kind: &str, is_root: bool) -> tracing::Span {
    match component {
        "command"
        | names::LOAD_AGGREGATE
        | names::HANDLE_COMMAND
        | names::PERSIST_EVENTS
        | names::AGGREGATE_EXISTS
        | names::CREATE_SNAPSHOT => span_of!(names::LOG_COMMAND, is_root, name, kind),
        "query" => span_of!(names::LOG_QUERY, is_root, name, kind),
        "projection" | "process_manager" | "handler" => span_of!(names::LOG_PROJECTION, is_root, name, kind),
        "event_store" => span_of!(names::LOG_STORE, is_root, name, kind),
        "snapshot_store" => span_of!(names::LOG_SNAPSHOT, is_root, name, kind),
        "event_bus" | "send" | "process" => span_of!(names::LOG_BUS, is_root, name, kind),
        _ => span_of!(names::LOG_SPAN, is_root, name, kind),
    }
}

fn kind(kind: Option<&SpanKind>) -> &'static str {
    match kind {
        Some(SpanKind::Client) => "client",
        Some(SpanKind::Server) => "server",
        Some(SpanKind::Producer) => "producer",
        Some(SpanKind::Consumer) => "consumer",
        Some(SpanKind::Internal) | None => "internal",
    }
}

/// Makes the context's span the current one of `tracing` too, until the result is dropped.
pub(super) fn enter(context: &Context) -> Bridged {
    context.get::<Origin>().map(|Origin(span)| span.clone().entered())
}

/// Whether an exporter is at work here. Its transport creates spans as well, roots among them, that know nothing of
/// OpenTelemetry's context; exporting them would create more.
fn is_suppressed() -> bool {
    toggle::has_context() && Context::is_current_telemetry_suppressed()
}

/// The filter of our layer, and the type by which a subscriber tells that it has it.
struct Spans;

impl<S> Filter<S> for Spans {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        metadata.is_span() && !is_suppressed()
    }

    /// Which places of a program are asked about each span.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_span() { Interest::sometimes() } else { Interest::never() }
    }
}

/// Makes our spans in our scope, and any other in one that is called like its target; where one is backdated, that too.
struct ByTarget {
    ours: SdkTracer,
    provider: SdkTracerProvider,
}

impl Tracer for ByTarget {
    type Span = opentelemetry_sdk::trace::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Self::Span {
        if let Some(Since(since)) = parent.get() {
            builder.start_time = Some(*since);
        }
        match target(&mut builder) {
            Some(target) if !is_ours(&target) => self.provider.tracer(target).build_with_context(builder, parent),
            _ => self.ours.build_with_context(builder, parent),
        }
    }
}

/// Takes the target out of the attributes, of which the layer makes it the first.
fn target(builder: &mut SpanBuilder) -> Option<String> {
    let attributes = builder.attributes.as_mut()?;
    let is_there = attributes.first().is_some_and(|first| first.key.as_str() == "target");
    is_there.then(|| attributes.remove(0)).map(|KeyValue { value, .. }| value.as_str().into_owned())
}

impl Telemetry {
    /// A layer that creates OpenTelemetry's spans from `tracing` spans, yours and, after
    /// [`bridge_to_tracing`](crate::telemetry::TelemetryBuilder::bridge_to_tracing), ours. Add it to your subscriber,
    /// under a filter if you like: the targets of our spans begin with `eventsource::`.
    ///
    /// It adds no attributes of its own (times, threads, code locations), and handles spans only: `tracing` events are
    /// logs, not span events. The instrumentation scope of your spans is called like their target.
    ///
    /// ```
    /// use eventsource_runtime::telemetry::Telemetry;
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// # fn main() -> Result<(), eventsource_runtime::telemetry::TelemetryError> {
    /// let telemetry = Telemetry::builder("orders").bridge_to_tracing().build()?;
    /// let subscriber = tracing_subscriber::registry().with(telemetry.tracing_layer());
    /// # drop(subscriber);
    /// # telemetry.shutdown_blocking()
    /// # }
    /// ```
    #[must_use]
    pub fn tracing_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let provider = self.tracer_provider().clone();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(ByTarget { ours: provider.tracer_with_scope(SCOPE.clone()), provider })
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            // For the scope.
            .with_target(true);
        layer.with_filter(Spans)
    }
}
