//! How a span starts: its place in the trace, what it is told, and whether a sampler must be asked.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, SpanRef, TraceContextExt, TraceFlags, Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::AttributeList;
use super::bridge::{self, Made};
use super::options::{Options, Parent, evaluated, span_context};
use super::pipeline::{self, Active, Sampling, Verdict};
use super::site::Site;
use super::span::{Span, counted, evaluate};
use super::toggle;
use crate::telemetry::site::{Kind, Literal};
use crate::telemetry::{Attributes, Values, names};

/// The span if no sampler decides on it: it is switched off, or the surrounding span was dropped, and so would be this
/// one; then nothing changes.
#[inline]
pub(super) fn without_sampler(options: &Options) -> Option<Span> {
    if options.disabled {
        return Some(Span::MUTED);
    }
    (matches!(options.parent, Parent::Current) && is_below_dropped()).then_some(Span::OFF)
}

/// Whether the surrounding span was dropped, and so would be one started here.
fn is_below_dropped() -> bool {
    Context::map_current(drops_below)
}

#[inline]
fn drops_below(current: &Context) -> bool {
    let span = current.span();
    let above = span.span_context();
    !above.is_sampled() && above.is_valid() && pipeline::drops_below_unsampled(current)
}

/// The caller's context, unless it is below a span that was dropped.
fn current_unless_dropped() -> Option<Context> {
    Context::map_current(|current| if drops_below(current) { None } else { Some(current.clone()) })
}

/// Returns the name of a method's type: `type_name`, which is not called if nobody wants the span.
pub(super) type Owner = fn() -> &'static str;

/// A span about to start, if it may.
#[derive(Debug)]
pub(crate) enum Start {
    /// No sampler decides on it: spans are off, or those of the component are.
    Settled(Span),
    Ready(Ready),
}

/// A span about to start.
#[derive(Debug)]
pub(crate) struct Ready {
    name: Cow<'static, str>,
    pub(super) kind: Kind,
    pub(super) options: Options,
    since: Option<SystemTime>,
    /// For how many attributes to make room at once.
    room: usize,
    /// Whether a component creates it, not a user.
    is_ours: bool,
}

impl Start {
    /// A component's span; `enabled` is its switch, which is read if spans are on.
    #[inline]
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, kind: Kind, enabled: impl FnOnce() -> bool) -> Self {
        Self::of(enabled, || (name.into(), kind))
    }

    /// The same with a name that is only built if the span may start.
    #[inline]
    pub(crate) fn of(enabled: impl FnOnce() -> bool, named: impl FnOnce() -> (Cow<'static, str>, Kind)) -> Self {
        if !toggle::is_on() {
            return Self::Settled(Span::OFF);
        }
        if !enabled() {
            return Self::Settled(Span::MUTED);
        }
        let (name, kind) = named();
        Self::Ready(Ready { is_ours: true, ..Ready::new(name, kind) })
    }

    /// Backdates the start, for a span that only turns out afterwards to be worth creating.
    #[must_use]
    pub(crate) fn since(mut self, since: SystemTime) -> Self {
        if let Self::Ready(ready) = &mut self {
            ready.since = Some(since);
        }
        self
    }

    /// Makes room for that many attributes at once, if they are more than most spans have.
    #[must_use]
    pub(crate) fn room(mut self, attributes: usize) -> Self {
        if let Self::Ready(ready) = &mut self {
            ready.room = attributes;
        }
        self
    }

    /// Sets parent and links.
    #[must_use]
    #[inline]
    pub(crate) fn options(mut self, set: impl FnOnce(&mut Options)) -> Self {
        if let Self::Ready(ready) = &mut self {
            set(&mut ready.options);
        }
        self
    }

    /// Starts the span. `known` is what the runtime records, always at the start; `user` is what the user named,
    /// evaluated before the start only if a sampler may read it, and otherwise only if the span records.
    #[inline]
    pub(crate) fn begin(self, known: &mut dyn FnMut(&mut Attributes), user: &mut dyn FnMut(&mut Attributes)) -> Span {
        match self {
            Self::Settled(span) => span,
            Self::Ready(ready) => ready.begin(known, user),
        }
    }
}

impl Ready {
    pub(super) fn new(name: Cow<'static, str>, kind: Kind) -> Self {
        Self { name, kind, options: Options::default(), since: None, room: ROOM, is_ours: false }
    }

    /// As [`Start::begin`].
    #[inline(never)]
    pub(super) fn begin(self, known: &mut dyn FnMut(&mut Attributes), user: &mut dyn FnMut(&mut Attributes)) -> Span {
        match without_sampler(&self.options) {
            Some(span) => span,
            None => self.begin_on(known, user).unwrap_or(Span::OFF),
        }
    }

    fn begin_on(self, mut known: impl FnMut(&mut Attributes), user: impl FnMut(&mut Attributes)) -> Option<Span> {
        let parent = self.parent();
        let (links_dropped, room) = (self.options.links_dropped, self.room);
        let known = |attributes: &mut Attributes| {
            attributes.list = AttributeList::with_room(room);
            known(attributes);
            if links_dropped > 0 {
                attributes.number(names::EVENTSOURCE_LINKS_DROPPED, links_dropped);
            }
        };
        self.build(&parent, known, user)
    }

    fn parent(&self) -> Context {
        let current = Context::current();
        match &self.options.parent {
            Parent::Current => current,
            Parent::Root => pipeline::root_of(&current),
            Parent::Remote(context) => pipeline::root_of(&current).with_remote_span_context(span_context(context)),
        }
    }

    /// Creates the span, unless it is known without asking that nobody wants it. None if there is nothing to be in.
    #[inline]
    fn build(
        self,
        parent: &Context,
        mut known: impl FnMut(&mut Attributes),
        mut user: impl FnMut(&mut Attributes),
    ) -> Option<Span> {
        let active = Active::of(parent);
        let (pipeline, above) = (active.tracing(), parent.span());
        let sampling = pipeline.map_or(Sampling::Custom, |pipeline| pipeline.sampling);
        let late = match sampling.predict(Some(above.span_context()).filter(|above| above.is_valid())) {
            Verdict::Drop => return Some(unrecorded(parent, false)),
            // Users' spans must still report their failures.
            Verdict::Record
                if self.is_ours
                    && !parent.is_telemetry_suppressed()
                    && pipeline.is_some_and(|pipeline| pipeline.sink.is_shut()) =>
            {
                // Nobody will look for it: what runs in it may as well be in another that was not created.
                let is_below = matches!(self.options.parent, Parent::Current) && is_unmade(&above);
                return (!is_below).then(|| unrecorded(parent, true));
            }
            Verdict::Record | Verdict::Ask { reads: true } => false,
            Verdict::Ask { reads: false } => true,
        };
        let foreign = pipeline.is_none().then(pipeline::foreign_tracer);
        if foreign.as_ref().is_some_and(pipeline::makes_nothing) {
            // A component's span is short: what is below it need not ask again.
            return self.is_ours.then_some(Span::MUTED);
        }
        let mut attributes = Attributes::default();
        known(&mut attributes);
        if !late {
            user(&mut attributes);
        }
        let told = (!matches!(self.options.parent, Parent::Current), self.is_ours);
        let builder = SpanBuilder {
            name: self.name,
            span_kind: Some(kind(self.kind)),
            start_time: self.since,
            attributes: Some(counted(attributes).into_vec()),
            links: self.options.links,
            ..SpanBuilder::default()
        };
        let mut late = || late.then(|| evaluate(&mut user).into_vec());
        match (pipeline, foreign) {
            (Some(pipeline), _) => {
                if pipeline.bridged
                    && let Some(span) = bridged(&builder, parent, told, &mut late)
                {
                    return span.unless_off();
                }
                live(&pipeline.tracer, builder, parent, &mut late)
            }
            (None, Some(tracer)) => live(&tracer, builder, parent, &mut late),
            (None, None) => None,
        }
    }
}

/// Room for the attributes of most spans.
const ROOM: usize = 8;

/// Creates the span as a `tracing` span; `None` if nobody there takes it.
#[cold]
fn bridged(
    builder: &SpanBuilder,
    parent: &Context,
    told: (bool, bool),
    late: &mut dyn FnMut() -> Option<Vec<KeyValue>>,
) -> Option<Span> {
    match bridge::make(builder, parent, told) {
        Made::Nothing => None,
        Made::Disabled => Some(Span::OFF),
        Made::Span(context) => {
            let recording = context.span().is_recording();
            if recording && let Some(attributes) = late() {
                context.span().set_attributes(attributes);
            }
            Some(Span::live(context, recording))
        }
    }
}

#[inline]
fn live<T>(
    tracer: &T,
    builder: SpanBuilder,
    parent: &Context,
    late: &mut dyn FnMut() -> Option<Vec<KeyValue>>,
) -> Option<Span>
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    // Large: it should not be moved more than once.
    let span = tracer.build_with_context(builder, parent);
    if span.is_recording() {
        let context = parent.with_span(span);
        if let Some(attributes) = late() {
            context.span().set_attributes(attributes);
        }
        return Some(Span::live(context, true));
    }
    // Without a provider the API returns the parent's own context, or none: there is nothing to attach.
    let made = span.span_context();
    if !made.is_valid() || made.span_id() == parent.span().span_context().span_id() {
        return None;
    }
    // A span that does not record is fully described by its context.
    Some(Span::live(parent.with_remote_span_context(made.clone()), false))
}

/// A span that a built-in sampler drops, without asking it: what runs below sees an unsampled parent. Or one that the
/// sampler takes and nobody would receive: what runs below, here or elsewhere, sees a sampled one, as always.
fn unrecorded(parent: &Context, sampled: bool) -> Span {
    let ids = RandomIdGenerator::default();
    let above = parent.span().span_context().clone();
    let trace_id = if above.is_valid() { above.trace_id() } else { ids.new_trace_id() };
    let state = above.trace_state().clone();
    let flags = if sampled { above.trace_flags().with_sampled(true) } else { TraceFlags::default() };
    let made = SpanContext::new(trace_id, ids.new_span_id(), flags, false, state);
    Span::live(parent.with_remote_span_context(made), false)
}

/// Whether it is a span of this process that a sampler took, but that was not created.
fn is_unmade(span: &SpanRef<'_>) -> bool {
    let context = span.span_context();
    !span.is_recording() && context.is_sampled() && context.is_valid() && !context.is_remote()
}

fn kind(kind: Kind) -> SpanKind {
    match kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Client => SpanKind::Client,
        Kind::Server => SpanKind::Server,
        Kind::Producer => SpanKind::Producer,
        Kind::Consumer => SpanKind::Consumer,
    }
}

/// Starts the span of a traced function, if spans may be on; none otherwise. A method's name is prefixed with that of
/// its type, which `owner` returns.
pub fn start(site: &'static Site, owner: Option<Owner>, values: &mut dyn Values) -> Option<Span> {
    if !site.is_on() {
        return None;
    }
    let parent = current_unless_dropped()?;
    let name = site.name(owner.map(|owner| owner()));
    let known = |known: &mut Attributes| {
        known.list = AttributeList::with_room(site.room());
        literals(site, known);
    };
    Ready::new(Cow::Borrowed(name), site.kind).build(&parent, known, |user| user.each(site.keys, values))
}

/// The same with more options.
pub fn start_with(site: &'static Site, set: &dyn Fn(&mut Options), values: &mut dyn Values) -> Option<Span> {
    if !site.is_on() {
        return None;
    }
    let mut options = Options::default();
    set(&mut options);
    if let Some(span) = without_sampler(&options) {
        return span.unless_off();
    }
    let name = site.name(options.owner);
    let ready = Ready { options, room: site.room(), ..Ready::new(Cow::Borrowed(name), site.kind) };
    ready.begin_on(|known| literals(site, known), |user| user.each(site.keys, values))
}

/// A span that switches off what is below it, if spans may be on and the traced function's own switch is off. A panic
/// in its expression leaves it on.
pub fn disabled(site: &'static Site, is_on: &dyn Fn() -> bool) -> Option<Span> {
    if !site.is_on() {
        return None;
    }
    (evaluated(is_on) == Some(false)).then_some(Span::MUTED)
}

fn literals(site: &Site, attributes: &mut Attributes) {
    for (key, literal) in site.literals {
        match *literal {
            Literal::Text(value) => attributes.list.text(key, value),
            Literal::Int(value) => attributes.list.int(key, value),
            Literal::Float(value) => attributes.list.float(key, value),
            Literal::Bool(value) => attributes.list.bool(key, value),
        }
    }
}
