//! The options of a span about to start, besides its attributes.

use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use uuid::Uuid;

use super::metrics;
use super::span::MOST;
use super::start::without_sampler;
use crate::telemetry::links::Linked;
use crate::telemetry::{TraceContext, guarded, names};

/// A span's place in the trace.
#[derive(Default)]
pub(super) enum Parent {
    #[default]
    Current,
    Root,
    Remote(TraceContext),
}

/// The options of a span about to start, besides its attributes.
#[derive(Default)]
pub struct Options {
    pub(super) disabled: bool,
    pub(super) owner: Option<&'static str>,
    pub(super) parent: Parent,
    pub(super) links: Option<Vec<Link>>,
    pub(super) links_dropped: u64,
}

impl Options {
    /// Lets a closure set one of these, so that a panic in the user's expression costs only that.
    #[doc(hidden)]
    pub fn with(&mut self, set: &dyn Fn(&mut Self)) {
        evaluated(|| set(self));
    }

    /// The same for links, which are skipped if, with the parent set before, there will be no span.
    #[doc(hidden)]
    pub fn with_links(&mut self, set: &dyn Fn(&mut Self)) {
        if without_sampler(self).is_none() {
            self.with(set);
        }
    }

    /// Switches the span off, and every span of ours below it.
    pub fn enable_tracing(&mut self, enabled: bool) {
        self.disabled = !enabled;
    }

    /// Puts the type's name before that of its method.
    #[doc(hidden)]
    pub fn owner(&mut self, type_name: &'static str) {
        self.owner = Some(type_name);
    }

    /// Starts a new trace.
    pub fn root(&mut self) {
        self.parent = Parent::Root;
    }

    /// Continues the trace that something carries; if it carries none, the current span stays the parent.
    pub fn parent(&mut self, parent: &(impl Linked + ?Sized)) {
        parent.contexts(&mut |context, _| self.parent = Parent::Remote(context.clone()));
    }

    /// Links to what something carries. Links beyond 128 are only counted.
    pub fn links(&mut self, links: &(impl Linked + ?Sized)) {
        self.links.get_or_insert_default();
        links.contexts(&mut |context, event| self.link_event(context, event));
    }

    /// Links to what an event carries that is available only as a message.
    pub(crate) fn link_event(&mut self, context: &TraceContext, event: Option<Uuid>) {
        self.link(context, names::EVENTSOURCE_EVENT_ID, event);
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

/// The value of a user's expression; a panic in it is counted, and yields nothing.
pub(super) fn evaluated<R>(expression: impl FnOnce() -> R) -> Option<R> {
    let value = guarded(expression);
    if value.is_none() {
        metrics::attributes_cut(1);
    }
    value
}

pub(super) fn span_context(context: &TraceContext) -> SpanContext {
    let state = context.tracestate().and_then(|state| state.parse::<TraceState>().ok()).unwrap_or_default();
    SpanContext::new(
        TraceId::from(context.trace_id()),
        SpanId::from(context.span_id()),
        TraceFlags::new(context.flags()),
        true,
        state,
    )
}
