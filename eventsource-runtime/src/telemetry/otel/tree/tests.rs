use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanEvents, SpanLinks, SpanProcessor};

use super::TraceTree;
use super::buffer::Console;
use super::render::Style;
use crate::sync::Mutex;
use crate::telemetry::names;
use crate::telemetry::otel::screen::{Screen, Stopped};

fn context(trace: u128, id: u64) -> SpanContext {
    SpanContext::new(TraceId::from(trace << 96), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE)
}

/// A span of trace `trace`, from and to in milliseconds.
pub(in crate::telemetry::otel) fn span(
    trace: u128,
    id: u64,
    parent: u64,
    name: &'static str,
    from: u64,
    to: u64,
) -> SpanData {
    let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(millis);
    SpanData {
        span_context: context(trace, id),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: Cow::Borrowed(name),
        start_time: at(from),
        end_time: at(to),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn style() -> Style {
    Style { width: 100, color: false, slow: Duration::from_secs(1) }
}

fn command() -> Vec<SpanData> {
    let mut load = span(0xabcd_1234, 2, 1, "load_aggregate", 0, 2);
    load.attributes.push(KeyValue::new(names::EVENTSOURCE_EVENTS_LOADED, 3));
    let mut store = span(0xabcd_1234, 3, 2, "event_store.load", 0, 2);
    store.span_kind = SpanKind::Client;
    store.attributes.push(KeyValue::new(names::DB_SYSTEM_NAME, "sqlite"));
    let mut command = span(0xabcd_1234, 1, 0, "command.PlaceOrder", 0, 8);
    command.attributes.extend([
        KeyValue::new(names::CQRS_SIDE, "write"),
        KeyValue::new(names::CQRS_COMMAND_STATUS, "success"),
        KeyValue::new("command.user_id", "user-7"),
        KeyValue::new(names::EVENTSOURCE_AGGREGATE_ID, "0193f2a4-7c3e-7d1a-9b2c-0123456789ab"),
    ]);
    // As they end: children first.
    vec![store, load, span(0xabcd_1234, 4, 1, "persist_events", 4, 8), command]
}

#[test]
fn a_trace_is_a_tree() {
    assert_eq!(
        TraceTree::new().render(&command()),
        "\
trace abcd1234 · 4 spans · 8.00 ms
command.PlaceOrder      ████████████████   8.00 ms  id=…456789ab  command.user_id=user-7
├─ load_aggregate       ████               2.00 ms  loaded=3
│  └─ event_store.load  ████               2.00 ms  db=sqlite  client
└─ persist_events               ████████   4.00 ms
"
    );
}

#[test]
fn a_link_names_the_span_that_it_leads_to() {
    let mut projection = span(0x5678, 9, 0, "projection.Orders", 10, 12);
    projection.span_kind = SpanKind::Consumer;
    projection.links.links.push(Link::new(context(0xabcd_1234, 4), Vec::new(), 0));
    let alone = TraceTree::new().render(std::slice::from_ref(&projection));
    assert!(alone.contains("~> trace abcd1234  consumer"), "{alone}");

    projection.links.links.push(Link::new(context(0xffff, 4), Vec::new(), 0));
    let mut spans = command();
    spans.push(projection);
    let text = TraceTree::new().render(&spans);
    assert!(text.contains("~> persist_events (trace abcd1234) +1  consumer"), "{text}");
}

/// At 100 columns a bus's span with a long name left no room for the id, by which alone the trace is found.
#[test]
fn a_link_keeps_the_id_of_its_trace_where_there_is_little_room() {
    let mut sent = span(0x5678, 9, 0, "send h1-hotel:Booking.BookingRequested and as long", 10, 12);
    sent.span_kind = SpanKind::Producer;
    sent.links.links.extend([4, 4].map(|id| Link::new(context(0xabcd_1234, id), Vec::new(), 0)));
    let mut spans = command();
    spans.push(sent);
    let rendered = |width| {
        let text = TraceTree::new().width(width).render(&spans);
        let line = text.lines().find(|line| line.starts_with("send ")).unwrap().to_owned();
        assert!(line.chars().count() <= width, "{line}");
        line
    };
    assert!(rendered(120).contains("  ~> persist_events (trace abcd1234) +1"), "{}", rendered(120));
    assert!(rendered(101).ends_with("  ~> persist… (trace abcd1234) +1"), "{}", rendered(101));
    assert!(rendered(85).ends_with("  ~> trace abcd1234 +1"), "{}", rendered(85));
}

#[test]
fn failures_rejections_and_cancellations_stand_out() {
    let mut failed = span(1, 1, 0, "a", 0, 1);
    failed.status = Status::error("");
    failed.attributes.push(KeyValue::new(names::ERROR_TYPE, "Conflict"));
    let mut rejected = span(2, 2, 0, "b", 1, 2);
    rejected.attributes.push(KeyValue::new(names::CQRS_COMMAND_STATUS, "rejected"));
    rejected.attributes.push(KeyValue::new(names::ERROR_TYPE, "Empty"));
    let mut cancelled = span(3, 3, 0, "c", 2, 3);
    cancelled.attributes.push(KeyValue::new(names::EVENTSOURCE_CANCELLED, true));
    let mut broken = span(4, 4, 0, "d", 3, 4);
    broken.status = Status::error("");
    broken.attributes.push(KeyValue::new(names::ERROR_TYPE, "backend"));
    broken.attributes.push(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, "53100"));
    let spans = [failed, rejected, cancelled, broken];
    let text = TraceTree::new().render(&spans);
    assert!(text.contains("  ✗ Conflict\n"), "{text}");
    assert!(text.contains("  Empty  status=rejected\n"), "{text}");
    assert!(text.contains("  ✗ backend 53100\n"), "{text}");
    assert!(text.contains("  cancelled\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    let colored = TraceTree::new().colored().render(&spans);
    assert!(colored.contains("\x1b[31m✗ Conflict\x1b[0m"), "{colored}");
    assert!(colored.contains("\x1b[31ma\x1b[0m"), "{colored}");
}

#[test]
fn what_was_slow_by_itself_is_marked() {
    let spans = [span(1, 1, 0, "waits", 0, 250), span(1, 2, 1, "slow", 10, 130), span(1, 3, 1, "beside", 20, 200)];
    let text = TraceTree::new().slow(Duration::from_millis(121)).render(&spans);
    let marked: Vec<_> = text.lines().filter(|line| line.ends_with("  slow")).collect();
    assert_eq!(marked.len(), 1, "{text}");
    assert!(marked[0].contains("beside"), "{text}");
    // Two that ran at once are waited for once: 250 - 190 is what the first took by itself.
    let text = TraceTree::new().slow(Duration::from_millis(60)).render(&spans);
    assert_eq!(text.lines().filter(|line| line.ends_with("  slow")).count(), 3, "{text}");
    let text = TraceTree::new().slow(Duration::from_millis(61)).render(&spans);
    assert_eq!(text.lines().filter(|line| line.ends_with("  slow")).count(), 2, "{text}");
}

#[test]
fn a_span_event_has_a_line_with_its_attributes() {
    let mut spans = command();
    let event = |version: i64| {
        let attributes = vec![
            KeyValue::new(names::EVENTSOURCE_EVENT_TYPE, "OrderPlaced"),
            KeyValue::new(names::EVENTSOURCE_VERSION, version),
            KeyValue::new("order.lines", 2),
        ];
        Event::new("event_persisted", SystemTime::UNIX_EPOCH, attributes, 0)
    };
    spans[2].events.events.extend((1..=5).map(event));
    let text = TraceTree::new().render(&spans);
    let (_, persisted) = text.split_once("persist_events").unwrap();
    let lines: Vec<_> = persisted.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "      · event_persisted  event=OrderPlaced  version=1  order.lines=2",
            "      · event_persisted  event=OrderPlaced  version=2  order.lines=2",
            "      · event_persisted  event=OrderPlaced  version=3  order.lines=2",
            "      · … 2 more events",
        ]
    );
}

#[test]
fn what_links_to_a_trace_comes_right_after_it() {
    let mut first = span(10, 9, 0, "projection.First", 30, 40);
    first.links.links.push(Link::new(context(0xabcd_1234, 4), Vec::new(), 0));
    let mut second = span(11, 10, 0, "projection.Second", 50, 60);
    second.links.links.push(Link::new(context(10, 9), Vec::new(), 0));
    let mut circle = span(12, 11, 0, "circle", 25, 26);
    circle.links.links.push(Link::new(context(12, 11), Vec::new(), 0));
    let mut spans = vec![second, circle, span(13, 12, 0, "between", 20, 21), first];
    spans.extend(command());
    let text = TraceTree::new().render(&spans);
    let roots: Vec<_> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| {
            ["command.PlaceOrder", "projection.First", "projection.Second", "between", "circle"].contains(name)
        })
        .collect();
    assert_eq!(roots, ["command.PlaceOrder", "projection.First", "projection.Second", "between", "circle"], "{text}");
}

#[test]
fn wide_characters_take_two_columns() {
    let mut wide = span(1, 1, 0, "東京都庁", 0, 1);
    wide.attributes.push(KeyValue::new("place", "東京".repeat(20)));
    let narrow = span(1, 2, 0, "narrow..", 0, 1);
    let text = TraceTree::new().width(60).render(&[wide, narrow]);
    let bar = |line: &str| super::text::columns(line.split_once('█').unwrap().0);
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(bar(lines[0]), bar(lines[1]), "{text}");
    assert!(lines.iter().all(|line| super::text::columns(line) <= 60), "{text}");
}

#[test]
fn hostile_spans_stay_on_their_line() {
    let mut hostile = span(1, 1, 1, "\u{1b}[2J\nname\u{202e}", 0, 1);
    hostile.status = Status::error("one\ntwo\u{1b}]0;title\u{7}");
    hostile.attributes.push(KeyValue::new("evil\r", "\u{2066}value\u{200b}\u{9b}31m"));
    let mut circular = vec![span(2, 2, 3, "circle", 0, 1), span(2, 3, 2, "closed", 0, 1)];
    circular.push(hostile);
    let text = TraceTree::new().width(200).render(&circular);
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(text.contains("circle") && text.contains("closed"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{text:?}");
    assert!(text.contains("\\u{1b}[2J"), "{text}");
}

#[test]
fn lines_keep_to_the_width() {
    let long: &'static str = "a_name_that_is_much_longer_than_any_column_could_ever_be";
    let mut spans: Vec<_> = (1..30).map(|id| span(7, id, id - 1, long, 0, 100 - id)).collect();
    for span in &mut spans {
        span.attributes.push(KeyValue::new("text", "x".repeat(500)));
        span.attributes.push(KeyValue::new("more", "y".repeat(500)));
    }
    // Its clock was set while it ran.
    spans[0].end_time += Duration::from_hours(4_800_000);
    spans[1].status = Status::error(long);
    spans[2].links.links.push(Link::new(context(0xabcd_1234, 4), Vec::new(), 0));
    let event = Event::new(long, SystemTime::UNIX_EPOCH, vec![KeyValue::new("text", long)], 0);
    spans[3].events.events.extend(vec![event; 4]);
    let widest = |width, spans: &[SpanData]| {
        let text = TraceTree::new().width(width).render(spans);
        assert!(text.lines().skip(1).all(|line| line.contains("a_name") || line.contains('·')), "{text}");
        text.lines().map(super::text::columns).max().unwrap()
    };
    assert!(widest(usize::MAX, &spans) > 132);
    for width in 40..=80 {
        assert_eq!(widest(width, &spans), width);
    }
    // Below the others, with a name of what shows as nothing, or of nothing.
    for name in ["\u{1b}", "", "東"] {
        let mut odd = spans.clone();
        odd[28].name = name.into();
        let text = TraceTree::new().width(40).render(&odd);
        assert!(text.lines().all(|line| super::text::columns(line) <= 40), "{text}");
    }
    let many: Vec<_> = (1..=20_000).map(|id| SpanData { span_context: context(7, id), ..spans[0].clone() }).collect();
    assert!(widest(40, &many) <= 40);
}

fn console(limit: Option<usize>) -> (SdkTracerProvider, Screen) {
    let screen = Screen::default();
    let console = Console::new(Box::new(screen.clone()), style(), limit);
    (SdkTracerProvider::builder().with_span_processor(console).build(), screen)
}

#[test]
fn a_trace_is_printed_when_its_last_span_has_ended() {
    let (provider, screen) = console(None);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.build_with_context(SpanBuilder::from_name("root"), &Context::new()));
    let mut late = tracer.build_with_context(SpanBuilder::from_name("late"), &root);
    root.span().end();
    assert_eq!(screen.text(), "");
    late.end();
    provider.force_flush().unwrap();
    assert!(screen.text().contains("· 2 spans ·"), "{}", screen.text());
    assert!(screen.text().contains("└─ late"), "{}", screen.text());

    let linked = SpanBuilder::from_name("projection").with_links(vec![Link::new(
        root.span().span_context().clone(),
        Vec::new(),
        0,
    )]);
    tracer.build_with_context(linked, &Context::new()).end();
    provider.force_flush().unwrap();
    assert!(screen.text().contains("~> root (trace "), "{}", screen.text());
}

/// A projection may be done before the command's own span has ended: it came first then, with a link to nobody known.
#[test]
fn what_links_to_a_trace_that_still_runs_waits_for_it() {
    for first in [0, 1] {
        let (provider, screen) = console(None);
        let tracer = provider.tracer("tests");
        let linked = |name: &'static str, to: &Context| {
            let link = Link::new(to.span().span_context().clone(), Vec::new(), 0);
            let builder = SpanBuilder::from_name(name).with_links(vec![link]);
            Context::new().with_span(tracer.build_with_context(builder, &Context::new()))
        };
        let command =
            Context::new().with_span(tracer.build_with_context(SpanBuilder::from_name("command"), &Context::new()));
        let projection = linked("projection", &command);
        let others = [linked("reader", &projection), projection];
        for other in [first, 1 - first] {
            others[other].span().end();
        }
        assert_eq!(screen.text(), "");
        command.span().end();
        provider.force_flush().unwrap();
        let text = screen.text();
        let places = ["command ", "~> command (", "~> projection ("].map(|part| text.find(part));
        assert!(places[0] < places[1] && places[1] < places[2] && places[0].is_some(), "{text}");
    }
}

#[test]
fn an_unfinished_trace_is_printed_at_the_end() {
    let (provider, screen) = console(None);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.build_with_context(SpanBuilder::from_name("root"), &Context::new()));
    tracer.build_with_context(SpanBuilder::from_name("child"), &root).end();
    provider.shutdown().unwrap();
    assert!(screen.text().contains("child"), "{}", screen.text());
    assert!(screen.text().contains("parent shown elsewhere"), "{}", screen.text());
}

#[test]
fn after_the_first_traces_it_is_quiet() {
    let (provider, screen) = console(Some(2));
    let tracer = provider.tracer("tests");
    for name in ["one", "two", "three"] {
        tracer.build_with_context(SpanBuilder::from_name(name), &Context::new()).end();
    }
    provider.force_flush().unwrap();
    assert!(screen.text().contains("two"), "{}", screen.text());
    assert!(!screen.text().contains("three"), "{}", screen.text());
}

#[test]
fn a_huge_trace_does_not_wait_in_memory() {
    let (provider, screen) = console(None);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.build_with_context(SpanBuilder::from_name("root"), &Context::new()));
    for _ in 0..5000 {
        tracer.build_with_context(SpanBuilder::from_name("child"), &root).end();
    }
    provider.force_flush().unwrap();
    assert!(screen.text().contains("4097 spans"));
}

/// Every start of a span waited for it.
#[test]
fn a_terminal_that_was_stopped_holds_up_no_span() {
    let (screen, on) = (Screen::default(), Arc::new(Mutex::new(())));
    let out = Stopped { screen: screen.clone(), on: Arc::clone(&on) };
    let console = Console::new(Box::new(out), style(), None);
    let stopped = on.lock();
    for id in 1..20_000 {
        console.on_end(span(id, 1, 0, "alone", 0, 1));
    }
    assert!(console.shutdown_with_timeout(Duration::from_millis(1)).is_err(), "it says what it could not write");
    assert_eq!(screen.text(), "");
    drop(stopped);
    console.force_flush().unwrap();
    assert!(screen.text().ends_with(" traces not shown: the terminal was too slow\n"));
    assert!(screen.text().matches("alone").count() > 1000);
}
