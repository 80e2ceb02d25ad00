//! Where spans and metrics go: to what a set-up installed, to what a scope carries, or to OpenTelemetry's globals.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Dispatch;
use tracing::dispatcher::get_default;
use tracing::subscriber::NoSubscriber;

use super::init::SpanSink;
use super::metrics::Instruments;
use super::toggle;
use crate::sync::Mutex;

/// The version of OpenTelemetry's conventions that the names follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The instrumentation scope of every span and metric.
pub(super) static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("eventsource-runtime")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA)
        .build()
});

/// What the last set-up installed, until somebody replaces OpenTelemetry's global provider.
static INSTALLED: ArcSwapOption<Pipeline> = ArcSwapOption::const_empty();

/// Whether `INSTALLED` holds one: without a set-up, one load suffices.
static IS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether `INSTALLED` drops what is below an unsampled span: so that this most common case costs one load.
static DROPS_BELOW_UNSAMPLED: AtomicBool = AtomicBool::new(false);

/// Held while both of them change.
static CHANGE: Mutex<()> = Mutex::new(());

/// One set-up's tracer and instruments.
#[expect(clippy::struct_excessive_bools, reason = "what was chosen, each for itself")]
pub(super) struct Pipeline {
    pub(super) tracer: SdkTracer,
    pub(super) sampling: Sampling,
    /// Whether spans are created as `tracing` spans.
    pub(super) bridged: bool,
    pub(super) sink: SpanSink,
    /// Whether log events are emitted instead of span events.
    pub(super) span_events_as_logs: bool,
    /// Whether the text of errors is recorded.
    pub(super) error_text: bool,
    /// Exports log events, if anything does.
    pub(super) logs: Option<Dispatch>,
    /// Whether it does so only while the application has no subscriber for them.
    pub(super) logs_stand_in: bool,
    pub(super) instruments: Instruments,
    /// Whether anybody reads the instruments, or logs what is slow.
    pub(super) metered: bool,
    /// The threshold from which measurements are logged as slow.
    pub(super) slow: Duration,
    /// Whether OpenTelemetry's global spans are the pipeline's, once it is installed.
    pub(super) has_global_spans: bool,
    /// Whether OpenTelemetry's global meters are the pipeline's, once it is installed: never without a reader.
    pub(super) has_global_meters: Arc<AtomicBool>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

/// What is known of a sampler without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Every span.
    AlwaysOn,
    /// No span.
    AlwaysOff,
    /// A share of the traces, by trace id only.
    Ratio,
    /// As the parent; a root as `Root` says.
    ParentBased(Root),
    /// A sampler of the user's, which may read attributes.
    Custom,
}

/// What a parent-based sampler does with a span that has no parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    On,
    Off,
    Ratio,
    /// What a sampler of the user's says, which may read attributes.
    Custom,
}

/// What a sampler will decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Record,
    Drop,
    /// It must be asked; `reads` says whether it may look at attributes.
    Ask {
        reads: bool,
    },
}

impl Sampling {
    pub(super) fn predict(self, parent: Option<&SpanContext>) -> Verdict {
        match (self, parent) {
            (Self::AlwaysOn, _) | (Self::ParentBased(Root::On), None) => Verdict::Record,
            (Self::ParentBased(_), Some(parent)) if parent.is_sampled() => Verdict::Record,
            (Self::AlwaysOff, _) | (Self::ParentBased(Root::Off), None) | (Self::ParentBased(_), Some(_)) => {
                Verdict::Drop
            }
            (Self::Ratio, _) | (Self::ParentBased(Root::Ratio), None) => Verdict::Ask { reads: false },
            (Self::Custom, _) | (Self::ParentBased(Root::Custom), None) => Verdict::Ask { reads: true },
        }
    }

    const fn drops_below_unsampled(self) -> bool {
        matches!(self, Self::AlwaysOff | Self::ParentBased(_))
    }
}

/// Whether a span below an unsampled one of `context` is surely dropped. If not, the sampler may still drop it.
pub(super) fn drops_below_unsampled(context: &Context) -> bool {
    match context.get::<Scoped>() {
        Some(Scoped(pipeline)) => pipeline.sampling.drops_below_unsampled(),
        None => DROPS_BELOW_UNSAMPLED.load(Ordering::Relaxed),
    }
}

/// The pipeline that a span or a measurement goes to.
pub(super) enum Active<'a> {
    /// Carried by the context.
    Scoped(&'a Pipeline),
    /// The same, if the context is not borrowed.
    Shared(Arc<Pipeline>),
    /// Installed for the process.
    Installed(Guard<Option<Arc<Pipeline>>>),
    /// Whatever OpenTelemetry's globals currently hold.
    Foreign,
}

/// A pipeline in a context: what runs below emits to it, not to the process's.
#[derive(Clone)]
struct Scoped(Arc<Pipeline>);

impl<'a> Active<'a> {
    pub(super) fn of(context: &'a Context) -> Self {
        if let Some(Scoped(pipeline)) = context.get::<Scoped>() {
            return Self::Scoped(pipeline);
        }
        Self::of_process()
    }

    /// As for the current context, without a copy of it.
    pub(super) fn current() -> Active<'static> {
        scoped().map_or_else(Active::of_process, Active::Shared)
    }

    pub(super) fn of_process() -> Self {
        if !IS_INSTALLED.load(Ordering::Relaxed) {
            return Self::Foreign;
        }
        let installed = INSTALLED.load();
        if installed.is_some() { Self::Installed(installed) } else { Self::Foreign }
    }

    pub(super) fn pipeline(&self) -> Option<&Pipeline> {
        match self {
            Self::Scoped(pipeline) => Some(pipeline),
            Self::Shared(pipeline) => Some(pipeline),
            Self::Installed(installed) => installed.as_deref(),
            Self::Foreign => None,
        }
    }

    /// The pipeline that measurements go to. One installed without a reader, or that has lost the global meters, leaves
    /// them to OpenTelemetry's globals; one that a scope carries never does.
    pub(super) fn measuring(&self) -> Option<&Pipeline> {
        let is_apart = !matches!(self, Self::Installed(_));
        self.pipeline().filter(|pipeline| is_apart || pipeline.has_global_meters.load(Ordering::Relaxed))
    }

    /// The pipeline that makes spans. What is installed beside a provider of others leaves them to that.
    #[inline]
    pub(super) fn tracing(&self) -> Option<&Pipeline> {
        let is_apart = !matches!(self, Self::Installed(_));
        self.pipeline().filter(|pipeline| is_apart || pipeline.has_global_spans)
    }
}

/// The pipeline that the current context carries.
pub(super) fn scoped() -> Option<Arc<Pipeline>> {
    Context::map_current(|context| context.get::<Scoped>().cloned()).map(|Scoped(pipeline)| pipeline)
}

/// What exports the log events of the code that runs here, if anything does.
pub(in crate::telemetry) fn exported_logs() -> Option<Dispatch> {
    if !toggle::has_context() {
        return None;
    }
    let (logs, stand_in) = Context::map_current(|current| {
        let active = Active::of(current);
        let pipeline = active.pipeline()?;
        Some((pipeline.logs.clone()?, pipeline.logs_stand_in))
    })?;
    (!stand_in || nobody_listens()).then_some(logs)
}

/// Whether the code that runs here has no subscriber of `tracing`. It is asked each time: one may be set at any time,
/// and `tracing::dispatcher::has_been_set` answers for all that ever were, be they gone.
pub(super) fn nobody_listens() -> bool {
    get_default(Dispatch::is::<NoSubscriber>)
}

/// Whether to emit log events instead of a span's span events.
pub(super) fn span_events_are_logs(context: &Context) -> bool {
    Active::of(context).pipeline().is_some_and(|pipeline| pipeline.span_events_as_logs)
}

/// A context that keeps of `context` only its pipeline, and whether an exporter is at work: where new roots begin.
pub(super) fn root_of(context: &Context) -> Context {
    let root = match context.get::<Scoped>() {
        Some(scoped) => Context::new().with_value(scoped.clone()),
        None => Context::new(),
    };
    if context.is_telemetry_suppressed() { root.with_telemetry_suppressed() } else { root }
}

/// A context below which spans and metrics go to `pipeline`.
pub(super) fn scope(context: &Context, pipeline: Arc<Pipeline>) -> Context {
    context.with_value(Scoped(pipeline))
}

/// Whether a set-up that is installed next takes OpenTelemetry's global spans: one that gives them to nobody would take
/// them away from a provider of others.
pub(super) fn takes_spans(sink: &SpanSink) -> bool {
    !matches!(sink, SpanSink::Nowhere)
        || INSTALLED.load().as_ref().is_some_and(|installed| installed.has_global_spans)
        || makes_nothing(&foreign_tracer())
}

/// Makes `pipeline` the process's, and its provider OpenTelemetry's global one, if it takes those spans.
pub(super) fn install(pipeline: Arc<Pipeline>, provider: SdkTracerProvider) {
    let changing = CHANGE.lock();
    let replaced = INSTALLED.swap(Some(Arc::clone(&pipeline)));
    IS_INSTALLED.store(true, Ordering::Relaxed);
    let drops = pipeline.has_global_spans && pipeline.sampling.drops_below_unsampled();
    DROPS_BELOW_UNSAMPLED.store(drops, Ordering::Relaxed);
    drop(changing);
    // Dropping it may run an exporter: not under the lock.
    drop(replaced);
    if pipeline.has_global_spans {
        global::set_tracer_provider(Watched { provider, pipeline });
    }
}

/// Uninstalls the pipeline from the process; false if somebody else has done so.
pub(super) fn uninstall(pipeline: &Arc<Pipeline>) -> bool {
    let _changing = CHANGE.lock();
    let is_ours = INSTALLED.load().as_ref().is_some_and(|installed| Arc::ptr_eq(installed, pipeline));
    if is_ours {
        DROPS_BELOW_UNSAMPLED.store(false, Ordering::Relaxed);
        IS_INSTALLED.store(false, Ordering::Relaxed);
        // The caller has the same pipeline, so nothing is dropped here.
        INSTALLED.store(None);
    }
    is_ours
}

/// The provider as OpenTelemetry's globals hold it. When they get another one this is dropped, and with it our cached
/// tracer: that is how a replaced provider is noticed without asking at every span.
struct Watched {
    provider: SdkTracerProvider,
    pipeline: Arc<Pipeline>,
}

impl TracerProvider for Watched {
    type Tracer = SdkTracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> SdkTracer {
        self.provider.tracer_with_scope(scope)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        uninstall(&self.pipeline);
    }
}

/// The same for meters. It holds nothing else of the pipeline, whose drop may run an exporter: while this is dropped
/// the globals are locked.
pub(super) struct WatchedMeters {
    provider: SdkMeterProvider,
    are_global: Arc<AtomicBool>,
}

impl WatchedMeters {
    pub(super) fn new(provider: SdkMeterProvider, pipeline: &Pipeline) -> Self {
        Self { provider, are_global: Arc::clone(&pipeline.has_global_meters) }
    }
}

impl MeterProvider for WatchedMeters {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        self.provider.meter_with_scope(scope)
    }
}

impl Drop for WatchedMeters {
    fn drop(&mut self) {
        self.are_global.store(false, Ordering::Relaxed);
    }
}

/// OpenTelemetry's current global tracer; never cached, because nothing reports when it changes.
pub(super) fn foreign_tracer() -> global::BoxedTracer {
    global::tracer_with_scope(SCOPE.clone())
}

/// Passed to a tracer to learn whether it is OpenTelemetry's own no-op one, which returns the ids of the parent. Any
/// other creates something else, and exports none of it, since the context says so.
static PROBE: LazyLock<Context> = LazyLock::new(|| {
    let ids = (TraceId::from(1), SpanId::from(1));
    let parent = SpanContext::new(ids.0, ids.1, TraceFlags::default(), true, TraceState::NONE);
    Context::new().with_remote_span_context(parent).with_telemetry_suppressed()
});

/// Whether nobody has set a provider of spans.
pub(super) fn makes_nothing(tracer: &global::BoxedTracer) -> bool {
    let probe = &*PROBE;
    let made = tracer.build_with_context(SpanBuilder::from_name("probe"), probe);
    made.span_context().span_id() == probe.span().span_context().span_id()
}
