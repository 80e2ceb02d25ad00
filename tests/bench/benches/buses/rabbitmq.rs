//! RabbitMQ by hand: publications whose confirmations are awaited together, and acknowledgements one by one.

use std::time::{Duration, Instant};

use eventsource_runtime::bus::{Message, RabbitMqBus, RabbitMqOptions};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanKind};
use opentelemetry_sdk::trace::{SdkTracer, Span as SdkSpan};
use uuid::Uuid;

use crate::{Floor, MESSAGES, Machine};

/// As many deliveries as ours has under way.
const PREFETCH: u16 = 256;

struct ByHand {
    exchange: ShortString,
    publishing: Channel,
    consuming: Channel,
    _connections: [Connection; 2],
}

pub(crate) fn run(machine: &Machine, address: &str) {
    let name = || format!("bench-{}", Uuid::now_v7().simple());
    let (bus, floor) = machine.runtime.block_on(async {
        let bus = RabbitMqBus::connect(address, RabbitMqOptions::new(name())).await.expect("the broker works");
        (bus, ByHand::open(address, &name()).await.expect("the broker works"))
    });
    crate::compare("RabbitMQ", machine, &bus, &floor);
}

impl ByHand {
    async fn open(address: &str, exchange: &str) -> lapin::Result<Self> {
        let connect = || Connection::connect(address, ConnectionProperties::default());
        let connections = [connect().await?, connect().await?];
        let (publishing, consuming) = (connections[0].create_channel().await?, connections[1].create_channel().await?);
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let kind = ExchangeKind::Topic;
        publishing.exchange_declare(exchange.into(), kind, options, FieldTable::default()).await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        // Without a queue a publication would come back.
        let floor = Self { exchange: exchange.into(), publishing, consuming, _connections: connections };
        floor.declare(exchange).await?;
        Ok(floor)
    }

    fn span(&self, tracer: &SdkTracer, (operation, kind): (&'static str, SpanKind)) -> SdkSpan {
        let key = KeyValue::new("messaging.rabbitmq.destination.routing_key", "Order.OrderPlaced");
        crate::span(tracer, ("rabbitmq", operation, kind), self.exchange.as_str(), [key])
    }

    /// A queue of the kind that ours has.
    async fn declare(&self, queue: &str) -> lapin::Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        for (name, value) in [
            ("x-dead-letter-exchange", "bench.dead"),
            ("x-dead-letter-strategy", "at-least-once"),
            ("x-overflow", "reject-publish"),
        ] {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.consuming.queue_declare(queue.into(), options, arguments).await?;
        let (exchange, key) = (self.exchange.clone(), "#".into());
        self.consuming.queue_bind(queue.into(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await
    }
}

impl Floor for ByHand {
    const CONSUMED: u64 = MESSAGES;
    const KEEPS: bool = false;

    async fn prepare(&self, group: &str) {
        self.declare(group).await.expect("the broker works");
    }

    async fn publish(&self, messages: &[Message], tracer: Option<&SdkTracer>) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            let mut headers = FieldTable::default();
            message.write_headers(&mut |name, value| {
                headers.insert(name.into(), AMQPValue::LongString(value.into()));
            });
            let sending = tracer.map(|tracer| self.span(tracer, ("send", SpanKind::Producer)));
            if let Some(span) = &sending {
                let parent = crate::traceparent(span.span_context());
                headers.insert("traceparent".into(), AMQPValue::LongString(parent.into()));
            }
            let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
            let (exchange, key) = (self.exchange.clone(), "Order.OrderPlaced".into());
            let sent = self.publishing.basic_publish(exchange, key, options, message.payload(), properties).await;
            confirmations.push((sent.expect("the broker works"), sending));
        }
        for (confirmation, sending) in confirmations {
            let confirmed = confirmation.await.expect("the broker works");
            assert!(matches!(confirmed, Confirmation::Ack(None)), "{confirmed:?}");
            if let Some(mut span) = sending {
                span.end();
            }
        }
    }

    async fn consume(&self, group: &str, tracer: Option<&SdkTracer>) -> Duration {
        let options = BasicConsumeOptions::default();
        let consumer = self.consuming.basic_consume(group.into(), group.into(), options, FieldTable::default()).await;
        let mut consumer = consumer.expect("the broker works");
        let mut begun = None;
        for _ in 0..Self::CONSUMED {
            let delivered = consumer.next().await.expect("the queue is there").expect("the broker works");
            begun.get_or_insert_with(Instant::now);
            let span = tracer.map(|tracer| self.span(tracer, ("process", SpanKind::Consumer)));
            drop(std::hint::black_box(delivered.data));
            if let Some(mut span) = span {
                span.end();
            }
            delivered.acker.ack(BasicAckOptions::default()).await.expect("the broker works");
        }
        begun.expect("it has begun").elapsed()
    }

    async fn forget(&self, queue: &str) {
        self.consuming.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("the broker works");
    }
}
