//! How a span starts: where it hangs, what it is told, and whether anybody has to be asked.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use uuid::Uuid;

use super::List;
use super::bridge::{self, Made};
use super::pipeline::{self, Active, Verdict};
use super::site::Site;
use super::span::{MOST, Span, counted, evaluate};
use super::toggle;
use super::{method_names, metrics};
use crate::telemetry::links::Linked;
use crate::telemetry::site::{Kind, Literal};
use crate::telemetry::{Attributes, TraceContext, Values, guarded, names};

/// Where a span hangs in the trace.
#[derive(Default)]
enum Parent {
    #[default]
    Current,
    Root,
    Remote(TraceContext),
}

/// What a span is told before it starts, beside its attributes.
#[derive(Default)]
pub struct Options {
    disabled: bool,
    owner: Option<&'static str>,
    parent: Parent,
    links: Option<Vec<Link>>,
    links_dropped: u64,
}

impl Options {
    /// Lets a closure set one of these, so that a panic in the user's expression costs that alone.
    #[doc(hidden)]
    pub fn with(&mut self, set: &mut dyn FnMut(&mut Self)) {
        if guarded(|| set(self)).is_none() {
            metrics::attributes_cut(1);
        }
    }

    /// Switches the span off, and every span of ours below it.
    pub fn enable(&mut self, enabled: bool) {
        self.disabled = !enabled;
    }

    /// Puts the name of the type before the name of its method.
    #[doc(hidden)]
    pub fn owner(&mut self, type_name: &'static str) {
        self.owner = Some(type_name);
    }

    /// Starts a new trace.
    pub fn root(&mut self) {
        self.parent = Parent::Root;
    }

    /// Continues the trace that something carries; without one the current span stays the parent.
    pub fn parent(&mut self, parent: &(impl Linked + ?Sized)) {
        parent.contexts(&mut |context, _| self.parent = Parent::Remote(context.clone()));
    }

    /// Links to what something carries. Beyond 128 links the rest is counted.
    pub fn links(&mut self, links: &(impl Linked + ?Sized)) {
        self.links.get_or_insert_default();
        links.contexts(&mut |context, event| self.link(context, names::EVENTSOURCE_EVENT_ID, event));
    }

    /// Links to what a message carries.
    pub(crate) fn link_message(&mut self, context: &TraceContext, message: Option<Uuid>) {
        self.link(context, names::MESSAGING_MESSAGE_ID, message);
    }

    fn link(&mut self, context: &TraceContext, key: &'static str, carrier: Option<Uuid>) {
        let kept = self.links.get_or_insert_default();
        if kept.len() == MOST {
            self.links_dropped += 1;
            return;
        }
        let carrier = carrier.map(|id| KeyValue::new(key, id.to_string()));
        kept.push(Link::new(span_context(context), carrier.into_iter().collect(), 0));
    }

    /// The span where no sampler has a say in it: it is switched off, or the span that surrounds it was dropped, and
    /// so would be this one; then nothing changes.
    #[inline]
    fn without_sampler(&self) -> Option<Span> {
        if self.disabled {
            return Some(Span::MUTED);
        }
        let below_dropped = matches!(self.parent, Parent::Current)
            && Context::map_current(|current| {
                let span = current.span();
                let above = span.span_context();
                !above.is_sampled() && above.is_valid() && pipeline::drops_below_unsampled(current)
            });
        if below_dropped { Some(Span::OFF) } else { None }
    }

    /// Marks every link as one from a replay.
    pub(crate) fn replay(&mut self) {
        for link in self.links.iter_mut().flatten() {
            link.attributes.push(KeyValue::new(names::EVENTSOURCE_REPLAY, true));
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("disabled", &self.disabled).finish_non_exhaustive()
    }
}

/// A span about to start.
#[derive(Debug)]
pub(crate) struct Start {
    name: Cow<'static, str>,
    pub(super) kind: Kind,
    pub(super) options: Options,
    since: Option<SystemTime>,
}

impl Start {
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, kind: Kind) -> Self {
        Self { name: name.into(), kind, options: Options::default(), since: None }
    }

    /// Dates the start back, for a span of which it is only known afterwards whether it is worth making.
    #[must_use]
    pub(crate) fn since(self, since: SystemTime) -> Self {
        Self { since: Some(since), ..self }
    }

    /// Sets parent, links, or the component's switch; skipped where spans are off anyway.
    #[must_use]
    pub(crate) fn options(mut self, set: impl FnOnce(&mut Options)) -> Self {
        if toggle::may_be_on() && toggle::is_on() {
            set(&mut self.options);
        }
        self
    }

    /// Starts the span. `known` is what the runtime tells, always at start; `user` is what the user named, evaluated
    /// before the start only where a sampler may read it, and otherwise only if the span records.
    pub(crate) fn begin(self, known: &mut dyn FnMut(&mut Attributes), user: &mut dyn FnMut(&mut Attributes)) -> Span {
        if !toggle::may_be_on() || !toggle::is_on() {
            return Span::OFF;
        }
        match self.options.without_sampler() {
            Some(span) => span,
            None => self.begin_on(known, user),
        }
    }

    fn begin_on(self, known: &mut dyn FnMut(&mut Attributes), user: &mut dyn FnMut(&mut Attributes)) -> Span {
        let parent = self.parent();
        let active = Active::of(&parent);
        let above = parent.span();
        let verdict = active.sampling().predict(Some(above.span_context()).filter(|above| above.is_valid()));
        match verdict {
            Verdict::Drop => unsampled(&parent),
            Verdict::Record | Verdict::Ask { reads: true } => self.build(&active, &parent, known, user, When::Before),
            Verdict::Ask { reads: false } => self.build(&active, &parent, known, user, When::IfRecording),
        }
    }

    fn parent(&self) -> Context {
        let current = Context::current();
        match &self.options.parent {
            Parent::Current => current,
            Parent::Root => pipeline::root_of(&current),
            Parent::Remote(context) => pipeline::root_of(&current).with_remote_span_context(span_context(context)),
        }
    }

    fn build(
        self,
        active: &Active,
        parent: &Context,
        known: &mut dyn FnMut(&mut Attributes),
        user: &mut dyn FnMut(&mut Attributes),
        when: When,
    ) -> Span {
        let mut attributes = Attributes { list: List::with_room(), cut: 0 };
        known(&mut attributes);
        if self.options.links_dropped > 0 {
            attributes.number(names::EVENTSOURCE_LINKS_DROPPED, self.options.links_dropped);
        }
        if matches!(when, When::Before) {
            user(&mut attributes);
        }
        let is_root = !matches!(self.options.parent, Parent::Current);
        let builder = SpanBuilder {
            name: self.name,
            span_kind: Some(kind(self.kind)),
            attributes: Some(counted(attributes).into_vec()),
            links: self.options.links,
            start_time: self.since,
            ..SpanBuilder::default()
        };
        let mut late = || match when {
            When::Before => None,
            When::IfRecording => Some(evaluate(user).into_vec()),
        };
        if active.pipeline().is_some_and(|pipeline| pipeline.bridged)
            && let Some(span) = bridged(&builder, parent, is_root, &mut late)
        {
            return span;
        }
        match active.pipeline() {
            Some(pipeline) => live(&pipeline.tracer, builder, parent, &mut late),
            None => live(&pipeline::foreign_tracer(), builder, parent, &mut late),
        }
    }
}

/// When the user's attributes are evaluated.
#[derive(Clone, Copy)]
enum When {
    Before,
    IfRecording,
}

/// The span as one of `tracing`; `None` where nobody there takes it.
#[cold]
fn bridged(
    builder: &SpanBuilder,
    parent: &Context,
    is_root: bool,
    late: &mut dyn FnMut() -> Option<Vec<KeyValue>>,
) -> Option<Span> {
    // `tracing` cannot date back.
    if builder.start_time.is_some() {
        return None;
    }
    match bridge::make(builder, parent, is_root) {
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

fn live<T>(tracer: &T, builder: SpanBuilder, parent: &Context, late: &mut dyn FnMut() -> Option<Vec<KeyValue>>) -> Span
where
    T: Tracer,
    T::Span: Send + Sync + 'static,
{
    let mut span = tracer.build_with_context(builder, parent);
    if span.is_recording() {
        if let Some(attributes) = late() {
            span.set_attributes(attributes);
        }
        return Span::live(parent.with_span(span), true);
    }
    // Without a provider the API hands back the parent's own context, or none: there is nothing to attach.
    let made = span.span_context();
    if !made.is_valid() || made.span_id() == parent.span().span_context().span_id() {
        return Span::OFF;
    }
    // Nobody can tell a span that does not record from its context.
    Span::live(parent.with_remote_span_context(made.clone()), false)
}

/// A span that a built-in sampler drops, without asking it: what runs below sees an unsampled parent.
fn unsampled(parent: &Context) -> Span {
    let ids = RandomIdGenerator::default();
    let above = parent.span().span_context().clone();
    let trace_id = if above.is_valid() { above.trace_id() } else { ids.new_trace_id() };
    let state = above.trace_state().clone();
    let dropped = SpanContext::new(trace_id, ids.new_span_id(), TraceFlags::default(), false, state);
    Span::live(parent.with_remote_span_context(dropped), false)
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

fn span_context(context: &TraceContext) -> SpanContext {
    let state = context.tracestate().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    SpanContext::new(
        TraceId::from(context.trace_id()),
        SpanId::from(context.span_id()),
        TraceFlags::new(context.flags()),
        true,
        state,
    )
}

/// Starts the span of a traced function, where spans may be on; none where they are not.
pub fn start(site: &'static Site, values: &mut dyn Values) -> Option<Span> {
    if site.is_on() { started(site, Options::default(), values) } else { None }
}

/// The same for a method, whose type's name stands before its own.
pub fn start_of(site: &'static Site, owner: fn() -> &'static str, values: &mut dyn Values) -> Option<Span> {
    if site.is_on() { started(site, Options { owner: Some(owner()), ..Options::default() }, values) } else { None }
}

/// The same with more options.
pub fn start_with(site: &'static Site, set: &mut dyn FnMut(&mut Options), values: &mut dyn Values) -> Option<Span> {
    if !site.is_on() {
        return None;
    }
    let mut options = Options::default();
    set(&mut options);
    started(site, options, values)
}

fn started(site: &'static Site, options: Options, values: &mut dyn Values) -> Option<Span> {
    if let Some(span) = options.without_sampler() {
        return span.unless_off();
    }
    let name = options.owner.map_or(site.name, |owner| method_names::joined(owner, site.name));
    let start = Start { name: Cow::Borrowed(name), kind: site.kind, options, since: None };
    start.begin_on(&mut |known| literals(site, known), &mut |user| user.each(site.keys, values)).unless_off()
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
