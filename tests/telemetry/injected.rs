//! Texts that would be more than a text to whoever reads them: in the headers that lead to a trace there is nothing but
//! what is allowed there, and each log event stays one line.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, StreamId};
use eventsource_runtime::telemetry::LogFormat;
use eventsource_tests::logged::listen;
use eventsource_tests::recorder::Recorder;
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use uuid::Uuid;

use crate::{bus, place};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What ends lines and texts, controls terminals, reorders what is shown, and is too long.
fn hostile() -> Vec<String> {
    let short =
        ["a\r\nb: c", "\n", "\r", "\0", "a\0b", "\u{1b}[2J", "\u{9b}31m", "\u{202e}", "\u{2066}x\u{2069}", "\u{2028}"];
    short.map(str::to_owned).into_iter().chain(["x".repeat(1 << 20), "\u{1b}".repeat(1 << 20)]).collect()
}

/// The headers of a message that lead to its trace.
fn leading(message: &Message) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    message.write_headers(&mut |name, value| {
        if name.starts_with("trace") {
            all.push(value.to_vec());
        }
    });
    all
}

fn assert_clean(headers: &[Vec<u8>]) {
    assert!(!headers.is_empty());
    let is_clean = |value: &Vec<u8>| value.len() <= 512 && value.iter().all(|byte| (0x20..0x7f).contains(byte));
    assert!(headers.iter().all(is_clean), "{headers:?}");
}

#[test]
fn a_state_that_is_hostile_is_in_no_header() {
    for hostile in hostile() {
        for state in [hostile.clone(), format!("a={hostile}"), format!("{hostile}=a"), format!("a=1,b={hostile},c=2")] {
            let context: TraceContext = PARENT.parse().unwrap();
            let message = Message::new(StreamId::new("Order", 7), "OrderPlaced", "{}");
            let message = message.with_trace_context(Some(context.with_state(&state)));
            let headers = leading(&message);
            assert_clean(&headers);
            // "a=xxx…" is too long, and all others are no states.
            assert_eq!(headers.len(), 1, "{state:?}");
        }
    }
}

/// OpenTelemetry lets every character into the values of a state.
#[tokio::test]
async fn a_hostile_state_of_the_callers_span_goes_no_further() {
    for hostile in hostile() {
        let Ok(state) = TraceState::from_key_value([("a", hostile.as_str())]) else { continue };
        let (trace, span) = (TraceId::from(7), SpanId::from(7));
        let above = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state);
        let store = MemoryStore::new();
        let work = async {
            // Below what surrounds it, which is the recorder's.
            let inside = opentelemetry::Context::current().with_remote_span_context(above);
            bus(&store).dispatch(place(Uuid::now_v7())).with_context(inside).await.unwrap();
        };
        Recorder::new().run(work).await;
        let page = store.read_all(Position::START, &Filter::all(), 1).await.unwrap();
        let context = page.events[0].trace_context.clone().expect("the command has a span");
        assert_eq!((context.trace_id(), context.tracestate()), (7, None));
        assert_clean(&leading(&Message::of(&page.events[0])));
    }
}

/// What was written, and how many events there were.
#[derive(Clone, Default)]
struct Written {
    bytes: Arc<Mutex<Vec<u8>>>,
    events: Arc<AtomicUsize>,
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Subscriber> Layer<S> for Written {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.events.fetch_add(1, Ordering::SeqCst);
    }
}

/// A message whose every text is hostile is handled in vain, by a group with such a name, and set aside.
async fn in_vain(hostile: &str) {
    let (bus, failure) = (InProcessBus::new(), hostile.to_owned());
    let handler = move |_: Received| std::future::ready(Err::<(), _>(HandlerError::new(failure.clone())));
    let running =
        bus.subscribe(hostile).max_retries(1).pauses(Duration::ZERO, Duration::ZERO).handle(handler).await.unwrap();
    let id = hostile.chars().take(20).collect::<String>();
    bus.publish(Message::new(StreamId::new("Order", id), hostile, "{}")).await.unwrap();
    while running.tally().dead_lettered < 1 {
        tokio::task::yield_now().await;
    }
    running.shutdown().await.unwrap();
}

/// In our format, and in the one that applications have without asking.
#[tokio::test]
async fn each_log_event_stays_one_line_whatever_it_tells() {
    for ours in [true, false] {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
        let lines: Box<dyn Layer<_> + Send + Sync> =
            if ours { lines.event_format(LogFormat::new()).boxed() } else { lines.boxed() };
        let subscriber = tracing_subscriber::registry().with(lines).with(written.clone());
        let _default = listen(subscriber);
        for hostile in hostile() {
            Recorder::new().run(in_vain(&hostile)).await;
        }
        let text = String::from_utf8(written.bytes.lock().unwrap().clone()).unwrap();
        let events = written.events.load(Ordering::SeqCst);
        assert!(events >= 2 * hostile().len(), "{events} events");
        assert_eq!(text.lines().count(), events, "ours: {ours}");
        let odd = |character: &char| character.is_control() || "\u{202e}\u{2066}\u{2069}\u{2028}".contains(*character);
        let found: Vec<_> = text.chars().filter(|character| *character != '\n').filter(odd).take(10).collect();
        assert!(found.is_empty(), "{found:?}, ours: {ours}");
    }
}
