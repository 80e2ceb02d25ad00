//! What databases and brokers emit is listed, as the registry's test sees it of what needs no server.

use std::collections::BTreeSet;

use eventsource_runtime::bus::{EventBus, HandlerError, Message, Received, Relay, Traced};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, StreamId};
use eventsource_runtime::testing;
use eventsource_tests::orders::Order;
use eventsource_tests::placing::place;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::{Measured, Registry};
use eventsource_tests::services;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use uuid::Uuid;

use crate::messages::{in_time, until};

/// Spans and metrics of something that needs a server.
struct Heard {
    recorder: Recorder,
    metrics: InMemoryMetricExporter,
}

impl Heard {
    fn new() -> Self {
        let (recorder, metrics) = Recorder::measured();
        Self { recorder, metrics }
    }

    /// Holds all of it against the registry, and says which attributes were borne, by which group.
    fn check(&self) -> BTreeSet<(String, String)> {
        let (registry, mut faults, mut seen) = (Registry::load(), Vec::new(), BTreeSet::new());
        let mut bears = |borne: Vec<(&str, &str)>| {
            seen.extend(borne.into_iter().map(|(by, key)| (by.to_owned(), key.to_owned())));
        };
        for span in self.recorder.spans() {
            faults.extend(registry.check_span(&span));
            bears(registry.borne_by_span(&span));
        }
        for measured in Measured::all(&self.metrics) {
            faults.extend(registry.check_metric(&measured));
            bears(registry.borne_by_metric(&measured));
        }
        assert_eq!(faults, [""; 0]);
        seen
    }

    /// What the points of a metric bear.
    fn said(&self, name: &str) -> BTreeSet<(String, String)> {
        let points = Measured::all(&self.metrics).into_iter().filter(|point| point.name == name);
        let said = points.flat_map(|point| point.attributes);
        said.map(|attribute| (attribute.key.to_string(), attribute.value.to_string())).collect()
    }
}

fn assert_borne(seen: &BTreeSet<(String, String)>, by: &str, keys: &[&str]) {
    for key in keys {
        assert!(seen.contains(&(by.to_owned(), (*key).to_owned())), "`{by}` never has `{key}`");
    }
}

#[test]
fn by_postgres() {
    testing::run(async {
        let heard = Heard::new();
        let schema = services::a_schema();
        let store = crate::postgres::open_in(&schema).await;
        let work = async {
            let orders = Repository::<Order, _>::new(store.clone());
            let bus = CommandBus::builder().aggregate(orders.clone()).build();
            let order = place(Uuid::now_v7());
            let committed = bus.dispatch(order.clone()).await.unwrap();
            bus.dispatch(order.clone()).await.unwrap_err();
            orders.create_snapshot(&order.order_id).await.unwrap();
            assert!(orders.snapshot_exists(&order.order_id).await.unwrap());
            orders.load(&order.order_id).await.unwrap();
            assert!(orders.delete_snapshot(&order.order_id).await.unwrap());
            let before = Position::new(committed.position.get() - 1);
            store.read_all(before, &Filter::all(), 1).await.unwrap();
            // Somebody else spoils it.
            let spoil = format!("ALTER TABLE {schema}.events RENAME TO gone");
            services::raw(&services::postgres()).await.batch_execute(&spoil).await.unwrap();
            store.read_all(Position::START, &Filter::all(), 1).await.unwrap_err();
        };
        heard.recorder.run(Box::pin(work)).await;
        heard.recorder.flush().await;
        let (seen, said) = (heard.check(), heard.said("db.client.operation.duration"));
        assert!(said.contains(&("db.response.status_code".to_owned(), "42P01".to_owned())), "{said:?}");
        let namespace = said.iter().find(|(key, _)| key == "db.namespace").map(|(_, value)| &**value);
        assert_eq!(namespace, Some(&*format!("postgres|{schema}")));
        let database = ["db.system.name", "db.operation.name", "db.collection.name", "server.address", "server.port"];
        for call in ["append", "load", "read_all"] {
            assert_borne(&seen, &format!("span.eventsource.event_store.{call}"), &database);
        }
        for call in ["save", "get", "exists", "delete"] {
            assert_borne(&seen, &format!("span.eventsource.snapshot_store.{call}"), &database);
        }
        assert_borne(&seen, "metric.db.client.operation.duration", &database);
    });
}

/// A message that arrives, one that fails for good, and one from a relay.
async fn all_of<B: EventBus>(bus: &Traced<B>) {
    let handler = async |received: Received| match received.event_type() {
        Some("OrderLost") => Err(HandlerError::new("as it must")),
        _ => Ok(()),
    };
    let message = |event_type| Message::new(StreamId::new("Order", 42), event_type, "{}");
    let running = bus.subscribe("inventory").max_retries(1).handle(handler).await.unwrap();
    let settled = async |messages: u64| {
        until(async || running.tally().acknowledged + running.tally().dead_lettered >= messages).await;
    };
    bus.publish(message("OrderPlaced")).await.unwrap();
    bus.publish_all([message("OrderPlaced"), message("OrderLost")]).await.unwrap();
    settled(3).await;
    let store = MemoryStore::new().enable_tracing(false);
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let committed = commands.dispatch(place(Uuid::now_v7())).await.unwrap();
    let relay = Relay::new("orders to the broker", store, bus.clone()).spawn();
    in_time(relay.wait_for(committed.position)).await.unwrap();
    relay.shutdown().await.unwrap();
    settled(4).await;
    running.shutdown().await.unwrap();
    let again = bus.retry_dead_letters("inventory").handle(async |_: Received| Ok(())).await.unwrap();
    assert_eq!(in_time(again.finished()).await.unwrap().acknowledged, 1);
}

const SENT: [&str; 6] = [
    "messaging.system",
    "messaging.destination.name",
    "server.address",
    "server.port",
    "messaging.batch.message_count",
    "messaging.message.id",
];

#[test]
fn by_kafka() {
    testing::run(async {
        let heard = Heard::new();
        let work = async {
            let bus = crate::kafka::open(crate::kafka::options(1)).await;
            all_of(&bus).await;
            heard.recorder.flush().await;
        };
        heard.recorder.run(Box::pin(work)).await;
        let seen = heard.check();
        let placed = ["messaging.destination.partition.id", "messaging.kafka.offset", "messaging.kafka.message.key"];
        assert_borne(&seen, "span.eventsource.send", &SENT);
        assert_borne(&seen, "span.eventsource.send", &placed);
        assert_borne(&seen, "span.eventsource.process", &placed);
        for metric in
            ["client.operation.duration", "client.sent.messages", "client.consumed.messages", "process.duration"]
        {
            assert_borne(&seen, &format!("metric.messaging.{metric}"), &["messaging.destination.partition.id"]);
        }
        assert_borne(&seen, "span.eventsource.process", &["messaging.consumer.group.name", "eventsource.replay"]);
        assert_borne(&seen, "metric.eventsource.bus.connected", &["messaging.system"]);
    });
}

#[test]
fn by_rabbitmq() {
    testing::run(async {
        let heard = Heard::new();
        let work = async {
            let bus = crate::rabbitmq::open(crate::rabbitmq::options()).await;
            all_of(&bus).await;
            heard.recorder.flush().await;
        };
        heard.recorder.run(Box::pin(work)).await;
        let seen = heard.check();
        let routed = ["messaging.rabbitmq.destination.routing_key"];
        assert_borne(&seen, "span.eventsource.send", &SENT);
        assert_borne(&seen, "span.eventsource.send", &routed);
        assert_borne(&seen, "span.eventsource.process", &routed);
        assert_borne(&seen, "span.eventsource.process", &["messaging.consumer.group.name", "eventsource.replay"]);
        assert_borne(&seen, "metric.eventsource.bus.connected", &["messaging.system"]);
    });
}
