//! Services in another language: a Python program with OpenTelemetry's own SDK and clients of its own continues our
//! trace, and we continue its trace, over each broker.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use eventsource_runtime::bus::{
    EventBus, HandlerError, KafkaBus, KafkaOptions, Message, RabbitMqBus, RabbitMqOptions, Received, Relay, Traced,
};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::Filter;
use eventsource_runtime::testing::{self, skip};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::services;
use eventsource_tests::shipping::{PlaceOrder, commands};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::kafka::SESSION;
use crate::messages::in_time;

/// The variable that names a Python with the packages of the peer.
const PYTHON: &str = "EVENTSOURCE_PYTHON";

/// The Python program, and what it tells.
struct Peer {
    program: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Peer {
    fn start(role: &str, broker: &Broker) -> Self {
        let python =
            std::env::var(PYTHON).unwrap_or_else(|_| skip(&format!("no Python; set {PYTHON}, or run tests/run")));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/python/peer.py");
        let mut program = Command::new(python)
            .arg(script)
            .args([role, broker.system, &broker.address, &broker.destination])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python");
        let told = BufReader::new(program.stdout.take().expect("it is piped")).lines();
        let (sender, lines) = mpsc::unbounded_channel();
        // It ends with the program, and nobody waits for it: whoever waits for the program does so in time.
        std::thread::spawn(move || told.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { program, lines }
    }

    /// The next line, which is of that kind.
    async fn next(&mut self, kind: &str) -> Value {
        let line = in_time(self.lines.recv()).await.expect("it tells more");
        let told: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(told["kind"], kind, "{line}");
        told
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

struct Broker {
    system: &'static str,
    address: String,
    /// The topic, or the exchange.
    destination: String,
}

fn of_kafka() -> Broker {
    let destination = format!("eventsource-tests-{}", Uuid::now_v7());
    Broker { system: "kafka", address: services::kafka(), destination }
}

fn of_rabbitmq() -> Broker {
    let destination = format!("eventsource-tests-{}", Uuid::now_v7());
    Broker { system: "rabbitmq", address: services::rabbitmq(), destination }
}

async fn kafka(broker: &Broker) -> KafkaBus {
    let options = KafkaOptions::new(&broker.destination).create(1, 1);
    KafkaBus::connect(&broker.address, options.session_timeout(SESSION)).await.unwrap()
}

async fn rabbitmq(broker: &Broker) -> RabbitMqBus {
    RabbitMqBus::connect(&broker.address, RabbitMqOptions::new(&broker.destination)).await.unwrap()
}

fn find<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span `{name}` in {spans:#?}"))
}

fn trace_id(span: &SpanData) -> String {
    span.span_context.trace_id().to_string()
}

fn span_id(span: &SpanData) -> String {
    span.span_context.span_id().to_string()
}

/// A message from Python is handled in the trace that sent it, as a child of the span that sent it.
async fn we_continue_its_trace<B: EventBus>(broker: Broker, bus: Traced<B>, process: String) {
    let recorder = Recorder::new();
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let sent = sender.send(received);
        async move { Ok::<_, HandlerError>(sent?) }
    };
    let (told, received) = recorder
        .run(async {
            let running = bus.subscribe("inventory").handle(handler).await.unwrap();
            let mut peer = Peer::start("produce", &broker);
            let told = [peer.next("span").await, peer.next("span").await];
            let received = in_time(seen.recv()).await.unwrap();
            running.shutdown().await.unwrap();
            (told, received)
        })
        .await;
    let [producing, place] = &told;
    assert_eq!((&producing["span_kind"], &producing["parent_id"]), (&"PRODUCER".into(), &place["span_id"]));
    assert_eq!(received.payload(), &b"{\"cents\": 4200}"[..]);
    assert_eq!(received.event_type(), Some("OrderPlaced"));
    assert_eq!(received.stream(), Some(&StreamId::new("Order", 42)));
    assert_eq!(received.id().map(|id| id.to_string()).as_deref(), Some("0193f2a4-7c3e-7d1a-9b2c-0123456789ab"));
    let spans = recorder.spans();
    let [span] = &spans[..] else { panic!("one span: {spans:#?}") };
    assert_eq!((&*span.name, &span.span_kind), (&*process, &SpanKind::Consumer));
    assert_eq!(trace_id(span), producing["trace_id"]);
    assert_eq!((span.parent_span_id.to_string(), span.parent_span_is_remote), (text(&producing["span_id"]), true));
    let links: Vec<_> = span.links.links.iter().map(|link| link.span_context.span_id().to_string()).collect();
    assert_eq!(links, [text(&producing["span_id"])]);
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// A Python program that waits for a message.
async fn consumer(broker: Broker) -> Peer {
    let mut peer = Peer::start("consume", &broker);
    peer.next("ready").await;
    peer
}

/// The message that it got, and its spans, the inner one first.
async fn consumed(mut peer: Peer) -> [Value; 3] {
    [peer.next("message").await, peer.next("span").await, peer.next("span").await]
}

/// A message of ours is handled by Python in the trace that sent it, as a child of the span that sent it.
async fn it_continues_our_trace<B: EventBus>(broker: Broker, bus: Traced<B>, send: String) {
    let recorder = Recorder::new();
    let message = Message::new(StreamId::new("Order", 42), "OrderPlaced", r#"{"cents":4200}"#);
    let id = message.id().unwrap().to_string();
    let peer = consumer(broker).await;
    recorder.run(bus.publish(message)).await.unwrap();
    let [message, ship, process] = consumed(peer).await;
    let spans = recorder.spans();
    let ours = find(&spans, &send);
    assert_eq!(ours.span_kind, SpanKind::Producer);
    assert_eq!(process["span_kind"], "CONSUMER");
    assert_eq!((text(&process["trace_id"]), text(&process["parent_id"])), (trace_id(ours), span_id(ours)));
    assert_eq!((&ship["parent_id"], &ship["trace_id"]), (&process["span_id"], &process["trace_id"]));
    assert_eq!(message["payload"], r#"{"cents":4200}"#);
    let headers = message["headers"].as_object().unwrap();
    let mut names: Vec<_> = headers.keys().map(String::as_str).filter(|name| *name != "eventsource_shard").collect();
    names.sort_unstable();
    let expected =
        ["aggregate_id", "aggregate_type", "content-type", "event_id", "event_type", "occurred_at", "traceparent"];
    assert_eq!(names, expected, "and no empty `tracestate`");
    assert_eq!(headers["event_id"], *id);
    assert_eq!(headers["traceparent"], format!("00-{}-{}-01", trace_id(ours), span_id(ours)));
}

/// A stored event that a relay publishes bears all that the contract lists, and is handled by Python in the trace of
/// the command that led to it.
async fn it_reads_a_stored_event<B: EventBus>(broker: Broker, bus: Traced<B>) {
    let (recorder, store, order_id) = (Recorder::new(), MemoryStore::new(), Uuid::now_v7());
    let (command, correlation) = (Uuid::now_v7(), Uuid::now_v7());
    let context = Context { command_id: Some(command), correlation_id: Some(correlation), ..Context::default() };
    let place = PlaceOrder { order_id, customer: "Ada".into(), cents: 4200, address: "1 Analytical Row".into() };
    let peer = consumer(broker).await;
    recorder
        .run(async {
            let relay = Relay::new("to Python", store.clone(), bus).spawn();
            let placed = commands(&store).dispatch_with(place, context).await.unwrap();
            in_time(relay.wait_for(placed.position)).await.unwrap();
            relay.shutdown().await.unwrap();
        })
        .await;
    let [message, _, process] = consumed(peer).await;
    let stored = &store.read_all(Position::START, &Filter::all(), 1).await.unwrap().events[0];
    let spans = recorder.spans();
    let persisted = find(&spans, "persist_events");
    assert_eq!((text(&process["trace_id"]), text(&process["parent_id"])), (trace_id(persisted), span_id(persisted)));
    assert_eq!(text(&message["payload"]).as_bytes(), stored.payload());
    let mut headers = message["headers"].as_object().unwrap().clone();
    headers.remove("eventsource_shard");
    let expected = json!({
        "event_id": stored.id,
        "event_type": "OrderPlaced",
        "event_version": "1",
        "aggregate_id": order_id,
        "aggregate_type": "Order",
        "aggregate_version": "1",
        "occurred_at": stored.recorded_at.to_string(),
        "correlation_id": correlation,
        "causation_id": command,
        "content-type": "application/json",
        "traceparent": format!("00-{}-{}-01", trace_id(persisted), span_id(persisted)),
    });
    assert_eq!(Value::Object(headers), expected);
    // As Python's own library reads the time.
    assert_eq!(message["occurred_at_micros"], stored.recorded_at.as_micros());
}

#[test]
fn we_continue_a_python_producers_trace_over_kafka() {
    testing::run(async {
        let broker = of_kafka();
        let (bus, process) = (kafka(&broker).await, format!("process {}", broker.destination));
        we_continue_its_trace(broker, bus, process).await;
    });
}

#[test]
fn we_continue_a_python_producers_trace_over_rabbitmq() {
    testing::run(async {
        let broker = of_rabbitmq();
        let exchange = &broker.destination;
        let process = format!("process {exchange}:Order.OrderPlaced:{exchange}.inventory");
        let bus = rabbitmq(&broker).await;
        we_continue_its_trace(broker, bus, process).await;
    });
}

#[test]
fn a_python_consumer_continues_our_trace_over_kafka() {
    testing::run(async {
        let broker = of_kafka();
        let (bus, send) = (kafka(&broker).await, format!("send {}", broker.destination));
        it_continues_our_trace(broker, bus, send).await;
    });
}

#[test]
fn a_python_consumer_continues_our_trace_over_rabbitmq() {
    testing::run(async {
        let broker = of_rabbitmq();
        let (bus, send) = (rabbitmq(&broker).await, format!("send {}:Order.OrderPlaced", broker.destination));
        it_continues_our_trace(broker, bus, send).await;
    });
}

#[test]
fn a_python_consumer_reads_all_that_a_stored_event_bears_over_kafka() {
    testing::run(async {
        let broker = of_kafka();
        let bus = kafka(&broker).await;
        it_reads_a_stored_event(broker, bus).await;
    });
}

#[test]
fn a_python_consumer_reads_all_that_a_stored_event_bears_over_rabbitmq() {
    testing::run(async {
        let broker = of_rabbitmq();
        let bus = rabbitmq(&broker).await;
        it_reads_a_stored_event(broker, bus).await;
    });
}
