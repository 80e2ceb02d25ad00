//! Whether the trace of a message goes on depends on when it was sent, as its broker or its properties tell.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eventsource_runtime::bus::{EventBus, Traced};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use eventsource_tests::recorder::Recorder;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::messages::{collecting, in_time, message};
use crate::{kafka, rabbitmq};

/// The context of whoever sends a foreign message.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const SPAN: u64 = 0xb7ad_6b71_6920_3331;

/// Older than what is fresh.
const OLD: Duration = Duration::from_mins(10);

fn since_1970(ago: Duration) -> Duration {
    SystemTime::now().checked_sub(ago).unwrap().duration_since(UNIX_EPOCH).unwrap()
}

/// The spans of a message that is published: of its publication if we did it, and of its handling.
async fn spans<B: EventBus>(bus: &Traced<B>, publish: impl AsyncFnOnce()) -> (Option<SpanData>, SpanData) {
    let recorder = Recorder::new();
    let work = async {
        let (running, mut seen) = collecting(bus).await;
        publish().await;
        in_time(seen.recv()).await.unwrap();
        running.shutdown().await.unwrap();
    };
    recorder.run(Box::pin(work)).await;
    let (mut sent, mut handled) = (None, None);
    for span in recorder.spans() {
        match span.name.split(' ').next() {
            Some("send") => sent = Some(span),
            Some("process") => assert!(handled.replace(span).is_none(), "it is handled once"),
            _ => {}
        }
    }
    (sent, handled.expect("it is handled"))
}

/// As a relay publishes what was stored long ago: by the event's time it would have a link alone.
async fn an_old_event_that_is_sent_now_goes_on<B: EventBus>(bus: Traced<B>) {
    let occurred = i64::try_from(since_1970(OLD).as_micros()).unwrap();
    let old = message(&StreamId::new("Order", 1), 1).with_occurred_at(Timestamp::from_micros(occurred));
    let publish = async || {
        bus.publish(old).await.unwrap();
    };
    let (sent, handled) = spans(&bus, publish).await;
    let sent = sent.unwrap().span_context;
    assert_eq!(handled.span_context.trace_id(), sent.trace_id());
    assert_eq!(handled.parent_span_id, sent.span_id());
}

/// Messages of others, which do not say when anything occurred, sent at the given time since 1970.
async fn only_what_was_sent_long_ago_has_a_link_alone<B: EventBus>(bus: Traced<B>, send: impl AsyncFn(Duration)) {
    for (ago, is_fresh) in [(Duration::ZERO, true), (OLD, false)] {
        let (_, handled) = spans(&bus, async || send(since_1970(ago)).await).await;
        let links: Vec<_> = handled.links.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(links, [SpanId::from(SPAN)]);
        assert_eq!(handled.span_context.trace_id() == TraceId::from(TRACE), is_fresh, "sent {ago:?} ago");
        assert_eq!(handled.parent_span_id, if is_fresh { SpanId::from(SPAN) } else { SpanId::INVALID });
    }
}

#[test]
fn on_kafka_an_old_event_that_is_sent_now_continues_the_trace_of_who_sends_it() {
    testing::run(async {
        let (_cluster, bus) = kafka::played(1).await;
        an_old_event_that_is_sent_now_goes_on(bus).await;
    });
}

#[test]
fn on_kafka_a_message_whose_record_is_old_has_a_link_alone() {
    testing::run(async {
        let (cluster, bus) = kafka::played(1).await;
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        only_what_was_sent_long_ago_has_a_link_alone(bus, async |at| {
            let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(TRACEPARENT) });
            let record = FutureRecord::<str, str>::to("orders").payload("{}").headers(headers);
            let record = record.timestamp(i64::try_from(at.as_millis()).unwrap());
            producer.send(record, Duration::from_mins(1)).await.unwrap();
        })
        .await;
    });
}

#[test]
fn on_rabbitmq_an_old_event_that_is_sent_now_continues_the_trace_of_who_sends_it() {
    testing::run(async { an_old_event_that_is_sent_now_goes_on(rabbitmq::open(rabbitmq::options()).await).await });
}

#[test]
fn on_rabbitmq_a_message_whose_timestamp_is_old_has_a_link_alone() {
    testing::run(async {
        let bus = rabbitmq::open(rabbitmq::options()).await;
        let (channel, exchange) = (rabbitmq::operator().await, bus.inner().info().destination);
        only_what_was_sent_long_ago_has_a_link_alone(bus, async |at| {
            let mut headers = FieldTable::default();
            headers.insert("traceparent".into(), AMQPValue::LongString(TRACEPARENT.into()));
            let properties = BasicProperties::default().with_headers(headers).with_timestamp(at.as_secs());
            let (to, options) = ((&*exchange).into(), BasicPublishOptions::default());
            channel.basic_publish(to, "foreign".into(), options, b"{}", properties).await.unwrap();
        })
        .await;
    });
}
