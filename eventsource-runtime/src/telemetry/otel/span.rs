//! The one span type of the crate, over OpenTelemetry's API.
//!
//! A span is in one of three states. *Off*: nothing is created or changed, the code runs as if there were no span.
//! *Muted*: its component is switched off, and so is every span of ours below it. *Live*: it has a context, which is
//! attached while its body runs and, for a future, in each poll; never across an await.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use opentelemetry::trace::{Status, TraceContextExt, TraceState};
use opentelemetry::{Context, ContextGuard, KeyValue};

use super::bridge::{self, Bridged};
use super::toggle::{self, Mute};
use super::{AttributeList, metrics, pipeline};
use crate::telemetry::guard::contained;
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Outcome, PANIC, TraceContext, log, names};

/// The most links and span events that a span keeps; the rest is counted.
pub(super) const MOST: usize = 128;

/// Room for the attributes that most spans learn later.
const LATE: usize = 6;

/// A span that has started; if dropped before it is finished, it ends as cancelled, or as failed in a panic.
pub struct Span(State);

enum State {
    Off,
    Muted,
    Live(Live),
}

struct Live {
    context: Context,
    recording: bool,
}

impl Span {
    /// A span that runs its body in `context`.
    pub(super) fn live(context: Context, recording: bool) -> Self {
        Self(State::Live(Live { context, recording }))
    }
}

/// A context is not unwind safe, as it holds values of any kind. But nothing of a span's changes while it is used, so a
/// panic leaves it whole; all that remains is to end it, which its drop does.
impl UnwindSafe for Span {}
impl RefUnwindSafe for Span {}

/// The state in which code runs that belongs to a span.
#[derive(Debug)]
pub(super) enum Entered {
    Nothing,
    Muted { _mute: Mute },
    Attached { _guard: ContextGuard, _bridged: Bridged },
}

impl Span {
    /// No span.
    pub const OFF: Self = Self(State::Off);
    /// No span, and none below it.
    pub(crate) const MUTED: Self = Self(State::Muted);

    /// Whether this is no span at all.
    #[inline(always)]
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.0, State::Off)
    }

    /// The span, if it is one at all.
    pub(super) fn unless_off(self) -> Option<Self> {
        (!self.is_off()).then_some(self)
    }

    /// Whether anybody can see what is recorded.
    pub(crate) fn is_recording(&self) -> bool {
        matches!(&self.0, State::Live(live) if live.recording)
    }

    pub(super) fn is_muted(&self) -> bool {
        matches!(self.0, State::Muted)
    }

    pub(super) fn context(&self) -> Option<&Context> {
        match &self.0 {
            State::Live(live) => Some(&live.context),
            State::Off | State::Muted => None,
        }
    }

    #[inline]
    pub(super) fn enter(&self) -> Entered {
        match &self.0 {
            State::Off => Entered::Nothing,
            State::Muted => Entered::Muted { _mute: Mute::new() },
            State::Live(live) => live.enter(),
        }
    }

    /// Runs a closure in the span, without ending it.
    pub(crate) fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        body()
    }

    /// Sets attributes, if anybody can see them.
    #[inline]
    pub(crate) fn record(&self, record: &mut dyn FnMut(&mut Attributes)) {
        if let State::Live(Live { context, recording: true }) = &self.0 {
            set(context, record);
        }
    }

    /// Adds `count` span events of one name. Beyond the cap they are only counted: their attributes are not computed.
    pub(crate) fn events(&self, name: &'static str, count: usize, record: &mut dyn FnMut(usize, &mut Attributes)) {
        let State::Live(Live { context, recording: true }) = &self.0 else { return };
        if pipeline::span_events_are_logs(context) {
            return self.log_events(name, count, record);
        }
        let span = context.span();
        for ordinal in 0..count.min(MOST) {
            span.add_event(name, evaluate(&mut |attributes| record(ordinal, attributes)).into_vec());
        }
        if count > MOST {
            let dropped = (count - MOST) as u64;
            self.record(&mut |later| later.number(names::EVENTSOURCE_EVENTS_DROPPED, dropped));
        }
    }

    #[cold]
    fn log_events(&self, name: &'static str, count: usize, record: &mut dyn FnMut(usize, &mut Attributes)) {
        self.in_scope(|| {
            for ordinal in 0..count {
                log::span_event(name, evaluate(&mut |attributes| record(ordinal, attributes)).into_vec());
            }
        });
    }

    /// Ends the span: failed if the outcome has an error's name, with its text, otherwise with no status.
    pub(crate) fn finish(self, outcome: Outcome) {
        if let State::Live(Live { context, recording: true }) = &self.0 {
            let span = context.span();
            if !outcome.attributes.is_empty() {
                span.set_attributes(counted(outcome.attributes).into_vec());
            }
            if let Some(error_type) = outcome.error_type {
                span.set_attribute(KeyValue::new(names::ERROR_TYPE, error_type));
                if !outcome.is_refusal {
                    span.set_status(Status::error(outcome.error_text.unwrap_or_default()));
                }
            }
        }
        self.succeed();
    }

    /// Ends the span without a status.
    #[inline]
    pub(crate) fn succeed(mut self) {
        if let State::Live(Live { context, recording: recording @ true }) = &mut self.0 {
            // So that its drop does not end it as cancelled.
            *recording = false;
            context.span().end();
        }
    }
}

/// Ends a span whose body did not finish: it panicked, or its future was dropped.
impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        if let State::Live(live @ Live { recording: true, .. }) = &self.0 {
            live.abandon();
        }
    }
}

impl Live {
    fn enter(&self) -> Entered {
        if !toggle::has_context() {
            return Entered::Nothing;
        }
        // First in, and last out: its layer attaches a context as well.
        let bridged = bridge::enter(&self.context);
        Entered::Attached { _guard: self.context.clone().attach(), _bridged: bridged }
    }

    #[cold]
    fn abandon(&self) {
        let span = self.context.span();
        if std::thread::panicking() {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, PANIC));
            span.set_status(Status::error(""));
            if toggle::has_context() {
                // A subscriber's panic would be the second one here, and end the process.
                contained(|| {
                    let _entered = self.enter();
                    log::failure(Failed::current(names::LOG_SPAN), PANIC, None);
                });
            }
        } else {
            span.set_attribute(KeyValue::new(names::EVENTSOURCE_CANCELLED, true));
        }
        // Foreign processors may panic, or use destroyed thread-locals: that would end the process here.
        contained(|| span.end());
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            State::Off => "Span(off)",
            State::Muted => "Span(muted)",
            State::Live(_) => "Span(live)",
        })
    }
}

#[inline(never)]
fn set(context: &Context, record: &mut dyn FnMut(&mut Attributes)) {
    context.span().set_attributes(evaluate(record).into_vec());
}

pub(super) fn evaluate(record: &mut dyn FnMut(&mut Attributes)) -> AttributeList {
    let mut attributes = Attributes { list: AttributeList::with_room(LATE), ..Attributes::default() };
    record(&mut attributes);
    counted(attributes)
}

/// The attributes in a span's form; those that were cut are counted.
#[inline]
pub(super) fn counted(attributes: Attributes) -> AttributeList {
    if attributes.cut > 0 {
        tell_cut(attributes.cut);
    }
    attributes.list
}

#[cold]
#[inline(never)]
fn tell_cut(count: u64) {
    metrics::attributes_cut(count);
}

pub(in crate::telemetry) fn current_trace_context() -> Option<TraceContext> {
    if !toggle::has_context() {
        return None;
    }
    Context::map_current(|current| {
        if !current.has_active_span() {
            return None;
        }
        let span = current.span();
        let context = span.span_context();
        if !context.is_valid() {
            return None;
        }
        let trace_id = u128::from_be_bytes(context.trace_id().to_bytes());
        let span_id = u64::from_be_bytes(context.span_id().to_bytes());
        let made = TraceContext::new(trace_id, span_id, context.trace_flags().to_u8());
        Some(if *context.trace_state() == TraceState::NONE {
            made
        } else {
            made.with_state(&context.trace_state().header())
        })
    })
}
