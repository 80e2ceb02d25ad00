//! What publishing and handling leaves on spans.

use std::sync::Arc;

use eventsource_runtime::bus::{
    EventBus, HandlerError, InProcessBus, Message, Propagation, Received, Relation, Traced,
};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::telemetry::TraceContext;
pub(super) use eventsource_tests::own_bus::until_settled;
use eventsource_tests::own_bus::{remote, routing};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Registry;
use tokio::sync::{Notify, mpsc};

fn message() -> Message {
    Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")
}

async fn fine(_: Received) -> Result<(), HandlerError> {
    Ok(())
}

/// Publishes a message to a group and waits until it was handled.
async fn round_trip<B: EventBus>(bus: &Traced<B>, message: Message) {
    let running = bus.subscribe("inventory").handle(fine).await.unwrap();
    bus.publish(message).await.unwrap();
    until_settled(&running, 1).await;
    running.shutdown().await.unwrap();
}

fn assert_listed(recorder: &Recorder) {
    let registry = Registry::load();
    let faults: Vec<_> = recorder.spans().iter().flat_map(|span| registry.check_span(span)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn within_the_process_a_message_leaves_two_traces_that_are_linked() {
    let recorder = Recorder::new();
    recorder.run(round_trip(&InProcessBus::new(), message())).await;
    assert_listed(&recorder);
    assert_eq!(
        recorder.trees().replace(recorder_id(&recorder), "{message}").render(),
        "event_bus.publish\n  . eventsource.event.type=OrderPlaced\n  . eventsource.handler.count=1\n  \
         . eventsource.outcome=published\n\
         event_bus.handle\n  ~> event_bus.publish messaging.message.id={message}\n  \
         . eventsource.aggregate.id=42\n  . eventsource.aggregate.type=Order\n  \
         . eventsource.event.type=OrderPlaced\n  . eventsource.handler.name=inventory\n  \
         . eventsource.outcome=ack\n  . eventsource.retry.count=0\n"
    );
}

/// The id of the message, as the first link tells it.
fn recorder_id(recorder: &Recorder) -> String {
    let spans = recorder.spans();
    let mut links = spans.iter().flat_map(|span| &span.links.links).flat_map(|link| &link.attributes);
    links.find(|attribute| attribute.key.as_str() == "messaging.message.id").unwrap().value.to_string()
}

#[tokio::test]
async fn on_a_broker_with_partitions_the_handler_continues_the_trace() {
    let recorder = Recorder::new();
    recorder.run(round_trip(&remote(), message())).await;
    assert_listed(&recorder);
    assert_eq!(
        recorder.trees().replace(recorder_id(&recorder), "{message}").render(),
        "send orders PRODUCER\n  . eventsource.event.type=OrderPlaced\n  \
         . messaging.destination.name=orders\n  . messaging.destination.partition.id=3\n  \
         . messaging.kafka.message.key=Order-42\n  . messaging.kafka.offset=42\n  . messaging.message.id={message}\n  \
         . messaging.operation.name=send\n  . messaging.operation.type=send\n  . messaging.system=kafka\n  \
         . server.address=broker.example.org\n  . server.port=9092\n  \
         process orders CONSUMER\n    ~> send orders messaging.message.id={message}\n    \
         . eventsource.aggregate.id=42\n    . eventsource.aggregate.type=Order\n    \
         . eventsource.event.type=OrderPlaced\n    . eventsource.outcome=ack\n    . eventsource.retry.count=0\n    \
         . messaging.consumer.group.name=inventory\n    . messaging.destination.name=orders\n    \
         . messaging.destination.partition.id=3\n    . messaging.kafka.message.key=Order-42\n    \
         . messaging.kafka.offset=42\n    . messaging.message.id={message}\n    . messaging.operation.name=process\n    \
         . messaging.operation.type=process\n    . messaging.system=kafka\n    . server.address=broker.example.org\n    \
         . server.port=9092\n"
    );
}

#[tokio::test]
async fn on_a_broker_with_routing_keys_the_destination_names_them() {
    let recorder = Recorder::new();
    recorder.run(round_trip(&routing(), message())).await;
    assert_listed(&recorder);
    let trees = recorder.trees();
    assert_eq!(
        trees.names(),
        "send orders:Order.OrderPlaced(process orders:Order.OrderPlaced:inventory)",
        "of low cardinality: no ids in it"
    );
    let process = trees.span("process orders:Order.OrderPlaced:inventory");
    let key = process.attributes.iter().find(|key| key.key.as_str() == "messaging.rabbitmq.destination.routing_key");
    assert_eq!(key.unwrap().value.as_str(), "Order.OrderPlaced");
}

/// Publishes some messages at once and handles them in one batch.
async fn at_once<B: EventBus>(bus: &Traced<B>, count: u64) {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let shared = (Arc::clone(&begun), Arc::clone(&go));
    let handler = move |batch: Vec<Received>| {
        let (begun, go) = shared.clone();
        async move {
            if batch[0].event_type() == Some("First") {
                begun.notify_one();
                go.notified().await;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let running = bus.subscribe("inventory").handle_batches(200, handler).await.unwrap();
    bus.publish(Message::new(StreamId::new("Order", 1), "First", "{}")).await.unwrap();
    begun.notified().await;
    bus.publish_all((0..count).map(|_| message())).await.unwrap();
    go.notify_one();
    until_settled(&running, 1 + count).await;
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_batch_has_one_span_with_a_link_to_each_message() {
    let recorder = Recorder::new();
    recorder.run(at_once(&remote(), 5)).await;
    assert_listed(&recorder);
    let spans = recorder.spans();
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (sent, processed) = (of("send orders"), of("process orders"));
    assert_eq!((sent.len(), processed.len()), (2, 2));
    let batch = processed.iter().find(|span| span.links.links.len() == 5).unwrap();
    assert_eq!(batch.parent_span_id, opentelemetry::trace::SpanId::INVALID);
    assert!(batch.links.links.iter().all(|link| link.span_context.span_id() == sent[1].span_context.span_id()));
    for span in [sent[1], batch] {
        let count = span.attributes.iter().find(|key| key.key.as_str() == "messaging.batch.message_count");
        assert_eq!(count.unwrap().value.as_str(), "5");
    }
}

/// What OpenTelemetry's SDK drops beyond its own limit, which is the same, no attribute tells.
#[tokio::test]
async fn a_batch_of_more_messages_than_a_span_keeps_links_tells_how_many_are_left_out() {
    let recorder = Recorder::new();
    recorder.run(at_once(&remote(), 140)).await;
    assert_listed(&recorder);
    let spans = recorder.spans();
    let batch = spans.iter().find(|span| span.name == "process orders" && span.links.links.len() > 1).unwrap();
    let told = |name: &str| {
        let found = batch.attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.map(|attribute| attribute.value.to_string())
    };
    assert_eq!(told("messaging.batch.message_count").as_deref(), Some("140"));
    assert_eq!((batch.links.links.len(), batch.links.dropped_count), (128, 0));
    assert_eq!(told("eventsource.links.dropped").as_deref(), Some("12"));
}

#[tokio::test]
async fn a_subscriber_within_the_process_may_ask_for_the_publishers_trace() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = InProcessBus::new();
            let subscription = bus.subscribe("inventory").propagation(Propagation::default().fresh(Relation::Parent));
            let running = subscription.handle(fine).await.unwrap();
            bus.publish(message()).await.unwrap();
            until_settled(&running, 1).await;
            running.shutdown().await.unwrap();
        })
        .await;
    assert_eq!(recorder.trees().names(), "event_bus.publish(event_bus.handle)");
}

#[tokio::test]
async fn a_bus_that_is_switched_off_makes_no_spans_and_passes_the_context_on() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = remote().enable_tracing(false);
            let running = bus.subscribe("inventory").handle(async |received: Received| {
                let context = received.trace_context().cloned();
                assert_eq!(context.map(|context| context.trace_id()), Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c));
                Ok(())
            });
            let running = running.await.unwrap();
            let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
            bus.publish(message().with_trace_context(context)).await.unwrap();
            until_settled(&running, 1).await;
            assert_eq!(running.shutdown().await.unwrap().acknowledged, 1);
        })
        .await;
    assert_eq!(recorder.started_spans(), 0);
}

/// Not that of the one that it came with.
#[tokio::test]
async fn a_message_that_is_sent_on_carries_the_context_of_the_span_that_sends_it() {
    let (recorder, (tell, mut seen)) = (Recorder::new(), mpsc::unbounded_channel());
    recorder
        .run(async {
            let bus = remote();
            let running = bus.subscribe("inventory").handle(move |received: Received| {
                let told = tell.send(received.trace_context().map(TraceContext::span_id));
                async move { Ok::<_, HandlerError>(told?) }
            });
            let running = running.await.unwrap();
            let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
            bus.publish(message().with_trace_context(context)).await.unwrap();
            running.shutdown().await.unwrap();
        })
        .await;
    let sent = recorder.trees().span("send orders").span_context.span_id();
    assert_eq!(seen.recv().await, Some(Some(u64::from_be_bytes(sent.to_bytes()))));
}
