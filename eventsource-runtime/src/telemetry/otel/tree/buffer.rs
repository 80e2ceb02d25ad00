//! Spans wait here until the last of their trace in this process has ended; then the trace is printed, and right after
//! it the traces that ended before and link to it, since their links can be named now.
//!
//! It is rendered under the lock that every span takes for a moment, and written elsewhere: see `writer`.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanContext, SpanId, TraceId};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::render::{self, Style};
use super::writer::Writer;
use crate::sync::Mutex;

/// How many spans may wait. Beyond that, the trace with the most is printed unfinished.
const MOST_SPANS: usize = 4096;
/// How many traces are watched; spans of further ones are printed alone.
const MOST_TRACES: usize = 1024;
/// How long a flush waits for the terminal.
const LONGEST_FLUSH: Duration = Duration::from_secs(5);
/// How many spans' names are kept for links that lead to them.
const MOST_NAMES: usize = 4096;

/// The processor that prints traces as trees.
pub(in crate::telemetry::otel) struct Console {
    style: Style,
    /// Whether the width is the terminal's at that moment.
    follows_terminal: bool,
    limit: Option<usize>,
    /// Set once the last trace of the limit is printed: from then on a span costs one load.
    quiet: AtomicBool,
    writer: Writer,
    /// A panic while printing leaves one that is still whole: at worst a trace is printed in part.
    state: Mutex<State>,
}

struct State {
    traces: HashMap<TraceId, Waiting>,
    spans: usize,
    names: Names,
    printed: usize,
}

#[derive(Default)]
struct Waiting {
    running: usize,
    ended: Vec<SpanData>,
    /// Traces that have ended and link to this one.
    behind: Vec<Vec<SpanData>>,
}

impl Waiting {
    fn spans(&self) -> usize {
        self.ended.len() + self.behind.iter().map(Vec::len).sum::<usize>()
    }

    /// What to print, in that order.
    fn take(&mut self) -> Vec<Vec<SpanData>> {
        let mut traces = vec![mem::take(&mut self.ended)];
        traces.append(&mut self.behind);
        traces.retain(|spans| !spans.is_empty());
        traces
    }
}

impl State {
    /// The running trace to which an ended one links, or behind which a trace waits to which it links.
    fn led_from(&mut self, ended: &[SpanData]) -> Option<&mut Waiting> {
        let mut links = ended.iter().flat_map(|span| span.links.iter());
        let to = links.find_map(|link| self.running(link.span_context.trace_id()))?;
        self.traces.get_mut(&to)
    }

    fn running(&self, trace: TraceId) -> Option<TraceId> {
        if self.traces.contains_key(&trace) {
            return Some(trace);
        }
        let waits = |spans: &Vec<SpanData>| spans.first().is_some_and(|span| span.span_context.trace_id() == trace);
        self.traces.iter().find(|(_, waiting)| waiting.behind.iter().any(waits)).map(|(running, _)| *running)
    }
}

/// The names of the spans that ended last.
#[derive(Default)]
struct Names {
    of: HashMap<SpanId, Cow<'static, str>>,
    order: VecDeque<SpanId>,
}

impl Names {
    fn add(&mut self, span: &SpanData) {
        let id = span.span_context.span_id();
        if self.of.insert(id, span.name.clone()).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MOST_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    fn get(&self, context: &SpanContext) -> Option<String> {
        self.of.get(&context.span_id()).map(|name| name.clone().into_owned())
    }
}

impl Console {
    /// As wide as given, or else as the terminal is whenever something is printed.
    pub(in crate::telemetry::otel) fn on_stderr(
        width: Option<usize>,
        color: bool,
        limit: Option<usize>,
        slow: Duration,
    ) -> Self {
        let style = Style { width: super::columns(width.unwrap_or(super::WIDTH)), color, slow };
        let console = Self::new(Box::new(std::io::stderr()), style, limit);
        Self { follows_terminal: width.is_none(), ..console }
    }

    pub(super) fn new(out: Box<dyn Write + Send>, style: Style, limit: Option<usize>) -> Self {
        let names = Names::default();
        let state = Mutex::new(State { traces: HashMap::new(), spans: 0, names, printed: 0 });
        let follows_terminal = false;
        Self {
            style,
            follows_terminal,
            limit,
            quiet: AtomicBool::new(limit == Some(0)),
            writer: Writer::start(out, "traces"),
            state,
        }
    }

    fn style(&self) -> Style {
        let told = self.follows_terminal.then(|| terminal_size::terminal_size_of(std::io::stderr())).flatten();
        match told {
            Some((columns, _)) => Style { width: super::columns(columns.0.into()), ..self.style },
            None => self.style,
        }
    }

    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }

    fn print(&self, state: &mut State, spans: &[SpanData]) {
        if spans.is_empty() || self.is_quiet() {
            return;
        }
        let names = &state.names;
        self.writer.print(render::trace(spans, &|context| names.get(context), self.style()));
        state.printed += 1;
        if self.limit.is_some_and(|limit| state.printed >= limit) {
            self.quiet.store(true, Ordering::Relaxed);
            state.traces = HashMap::new();
            state.spans = 0;
        }
    }

    fn ended(&self, state: &mut State, span: SpanData) {
        let trace = span.span_context.trace_id();
        let sampled = span.span_context.is_sampled();
        state.names.add(&span);
        let Some(waiting) = state.traces.get_mut(&trace) else {
            if sampled {
                self.print(state, &[span]);
            }
            return;
        };
        waiting.running = waiting.running.saturating_sub(1);
        if sampled {
            waiting.ended.push(span);
            state.spans += 1;
        }
        if waiting.running == 0 {
            let mut traces = waiting.take();
            state.traces.remove(&trace);
            match traces.first().and_then(|ended| state.led_from(ended)) {
                Some(before) => before.behind.append(&mut traces),
                None => self.print_all(state, &traces),
            }
        }
        if state.spans > MOST_SPANS {
            let most = state.traces.values_mut().max_by_key(|waiting| waiting.spans());
            let traces = most.map(Waiting::take).unwrap_or_default();
            self.print_all(state, &traces);
        }
    }

    /// Prints what has waited.
    fn print_all(&self, state: &mut State, traces: &[Vec<SpanData>]) {
        state.spans -= traces.iter().map(Vec::len).sum::<usize>();
        for spans in traces {
            self.print(state, spans);
        }
    }

    /// Prints what has ended of the traces that still run, in the order in which it began.
    fn print_unfinished(&self) {
        let mut state = self.state.lock();
        let mut unfinished: Vec<_> = state.traces.values_mut().map(Waiting::take).collect();
        unfinished.sort_by_key(|traces| traces.iter().flatten().map(|span| span.start_time).min());
        self.print_all(&mut state, &unfinished.concat());
    }
}

impl SpanProcessor for Console {
    fn on_start(&self, span: &mut Span, _: &Context) {
        if self.is_quiet() {
            return;
        }
        let trace = span.span_context().trace_id();
        let mut state = self.state.lock();
        if let Some(waiting) = state.traces.get_mut(&trace) {
            waiting.running += 1;
        } else if state.traces.len() < MOST_TRACES {
            state.traces.insert(trace, Waiting { running: 1, ..Waiting::default() });
        }
    }

    fn on_end(&self, span: SpanData) {
        if !self.is_quiet() {
            self.ended(&mut self.state.lock(), span);
        }
    }

    /// The set-up waits no longer than configured, whatever this takes.
    fn force_flush(&self) -> OTelSdkResult {
        self.shutdown_with_timeout(LONGEST_FLUSH)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.print_unfinished();
        if self.writer.drain(timeout) { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("style", &self.style).field("limit", &self.limit).finish_non_exhaustive()
    }
}
