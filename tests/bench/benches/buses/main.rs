//! `cargo bench -p eventsource-bench --bench buses`, with brokers in `EVENTSOURCE_KAFKA_URL` and
//! `EVENTSOURCE_RABBITMQ_URL`.
//!
//! Messages a second, published with confirmations and consumed one by one: through our buses, with spans off and with
//! every span recorded and exported, and through the brokers' clients by hand, pipelined as deep as they go.

mod kafka;
mod rabbitmq;
#[path = "../commands/traces.rs"]
mod traces;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_bench::sample::{Contender, Samples, operations_per_second, timed};
use eventsource_bench::table::{Table, number, verdict};
use eventsource_runtime::bus::{EventBus, HandlerError, Message, Received, Traced};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;
use eventsource_runtime::telemetry::set_enabled;
use futures_util::StreamExt;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanKind, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use traces::Counts;
use uuid::Uuid;

const ROUNDS: usize = 5;
pub(crate) const MESSAGES: u64 = 10_000;
/// How many are published at once by ours, and by how many tasks beside each other.
const BATCH: u64 = 1_000;
const TASKS: u64 = 4;

/// The least that a broker's client has to do, by hand.
pub(crate) trait Floor: Sync {
    /// How many messages are consumed: so many that what the client fetched before the first was asked for counts
    /// little.
    const CONSUMED: u64;
    /// Whether a group gets what was published before it was made. It is filled once then, for all groups.
    const KEEPS: bool;

    /// Makes what consumers of that name need, before anything is published.
    fn prepare(&self, group: &str) -> impl Future<Output = ()> + Send;
    /// Publishes all messages and waits for all confirmations; with a tracer, each message in a span.
    fn publish(&self, messages: &[Message], tracer: Option<&SdkTracer>) -> impl Future<Output = ()> + Send;
    /// Takes all messages and acknowledges each; how long that took from the first one on. With a tracer, each in a
    /// span.
    fn consume(&self, group: &str, tracer: Option<&SdkTracer>) -> impl Future<Output = Duration> + Send;
    /// Removes a queue, which would otherwise get all that is published from now on.
    fn forget(&self, queue: &str) -> impl Future<Output = ()> + Send;
}

/// The span of a message by hand, with what the semantic conventions ask for.
pub(crate) fn span(
    tracer: &SdkTracer,
    (system, operation, kind): (&'static str, &'static str, SpanKind),
    destination: &str,
    more: impl IntoIterator<Item = KeyValue>,
) -> Span {
    let mut attributes = Vec::with_capacity(12);
    attributes.extend([
        KeyValue::new("messaging.system", system),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", operation),
        KeyValue::new("messaging.destination.name", destination.to_owned()),
        KeyValue::new("server.address", "127.0.0.1"),
    ]);
    attributes.extend(more);
    let name = [operation, " ", destination].concat();
    tracer.span_builder(name).with_kind(kind).with_attributes(attributes).start(tracer)
}

/// The header that continues the trace of a span.
pub(crate) fn traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags())
}

/// Messages as a relay has them, each of a stream of its own.
pub(crate) fn messages() -> Vec<Message> {
    let payload = format!(r#"{{"product":"keyboard","quantity":1,"note":"{}"}}"#, "x".repeat(120));
    let of = |_| Message::new(StreamId::new("Order", Uuid::now_v7()), "OrderPlaced", payload.clone());
    (0..MESSAGES).map(of).collect()
}

async fn publish<B: EventBus>(bus: &Traced<B>, messages: Vec<Message>) {
    let batches = Arc::new(Mutex::new(messages));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (bus, batches) = (bus.clone(), Arc::clone(&batches));
        tasks.spawn(async move {
            loop {
                let batch = {
                    let mut left = batches.lock().expect("nobody panics");
                    let from = left.len().saturating_sub(usize::try_from(BATCH).expect("small"));
                    left.split_off(from)
                };
                if batch.is_empty() {
                    return;
                }
                bus.publish_all(batch).await.expect("the broker works");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
}

/// Handles all messages of a group; how long that took from the first one on.
async fn consume<B: EventBus>(bus: &Traced<B>, group: &str, wanted: u64) -> Duration {
    let (begun, done) = (Arc::new(Mutex::new(None)), Arc::new(Notify::new()));
    let (shared, count) = ((Arc::clone(&begun), Arc::clone(&done)), Arc::new(AtomicU64::new(0)));
    let handler = move |received: Received| {
        let before = count.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            *shared.0.lock().expect("nobody panics") = Some(Instant::now());
        }
        if before + 1 == wanted {
            shared.1.notify_one();
        }
        drop(std::hint::black_box(received));
        std::future::ready(Ok::<_, HandlerError>(()))
    };
    let running = bus.subscribe(group).handle(handler).await.expect("the broker works");
    done.notified().await;
    while running.tally().acknowledged < wanted {
        tokio::task::yield_now().await;
    }
    let elapsed = begun.lock().expect("nobody panics").expect("it has begun").elapsed();
    running.shutdown().await.expect("it ends");
    elapsed
}

/// What all buses are measured with.
pub(crate) struct Machine {
    pub(crate) runtime: Runtime,
    telemetry: Telemetry,
    counts: Counts,
}

impl Machine {
    fn tracer(&self, traced: bool) -> Option<SdkTracer> {
        traced.then(|| self.telemetry.tracer_provider().tracer("by hand"))
    }

    /// Does the work on so many messages with spans off, or with so many at least, all of them exported within the time
    /// that is told.
    fn measured(&self, messages: u64, least: u64, work: impl Future<Output = Duration>) -> (u64, Duration) {
        let before = self.counts.complete();
        set_enabled(least > 0);
        let elapsed = self.runtime.block_on(work);
        set_enabled(false);
        let (flushed, flushing) = timed(|| self.telemetry.tracer_provider().force_flush());
        flushed.expect("the exporter works");
        let spans = self.counts.complete() - before;
        assert!(spans >= least && (spans > 0) == (least > 0), "{spans} spans, not {least}");
        (messages, elapsed + flushing)
    }
}

struct Bench<'a, B, F> {
    machine: &'a Machine,
    bus: &'a Traced<B>,
    floor: &'a F,
}

impl<B: EventBus, F: Floor> Bench<'_, B, F> {
    fn publish_by_hand(&self, traced: bool) -> (u64, Duration) {
        let (messages, by_hand) = (messages(), self.machine.tracer(traced));
        self.machine.measured(MESSAGES, if traced { MESSAGES } else { 0 }, async {
            let begun = Instant::now();
            self.floor.publish(&messages, by_hand.as_ref()).await;
            begun.elapsed()
        })
    }

    /// In batches, each with a span of its own where they are on.
    fn publish(&self, traced: bool) -> (u64, Duration) {
        let messages = messages();
        self.machine.measured(MESSAGES, if traced { MESSAGES / BATCH } else { 0 }, async {
            let begun = Instant::now();
            publish(self.bus, messages).await;
            begun.elapsed()
        })
    }

    /// Each message by a call of its own, all of them at once.
    fn publish_each(&self, traced: bool) -> (u64, Duration) {
        let messages = messages();
        self.machine.measured(MESSAGES, if traced { MESSAGES } else { 0 }, async {
            let begun = Instant::now();
            let calls = futures_util::stream::iter(messages).map(|message| self.bus.publish(message));
            calls
                .buffer_unordered(usize::MAX)
                .for_each(async |published| {
                    published.expect("the broker works");
                })
                .await;
            begun.elapsed()
        })
    }

    fn consume_by_hand(&self, traced: bool) -> (u64, Duration) {
        let (group, by_hand) = (a_group(), self.machine.tracer(traced));
        self.machine.runtime.block_on(async {
            self.floor.prepare(&group).await;
            if !F::KEEPS {
                self.floor.publish(&messages(), None).await;
            }
        });
        let least = if traced { F::CONSUMED } else { 0 };
        let measured = self.machine.measured(F::CONSUMED, least, self.floor.consume(&group, by_hand.as_ref()));
        self.machine.runtime.block_on(self.floor.forget(&group));
        measured
    }

    fn consume(&self, traced: bool) -> (u64, Duration) {
        let group = a_group();
        self.machine.runtime.block_on(async {
            if !F::KEEPS {
                make(self.bus, &group).await;
                publish(self.bus, messages()).await;
            }
        });
        let measured = self.machine.measured(
            F::CONSUMED,
            if traced { F::CONSUMED } else { 0 },
            consume(self.bus, &group, F::CONSUMED),
        );
        let queue = format!("{}.{group}", self.bus.inner().info().destination);
        self.machine.runtime.block_on(self.floor.forget(&queue));
        measured
    }
}

/// Makes a group, for which all that is published from now on is kept.
async fn make<B: EventBus>(bus: &Traced<B>, group: &str) {
    let handler = async |_: Received| Ok::<_, HandlerError>(());
    let made = bus.subscribe(group).handle(handler).await.expect("the broker works");
    made.shutdown().await.expect("it ends");
}

fn a_group() -> String {
    format!("bench-{}", Uuid::now_v7().simple())
}

pub(crate) fn compare<B: EventBus, F: Floor>(title: &str, machine: &Machine, bus: &Traced<B>, floor: &F) {
    let bench = Bench { machine, bus, floor };
    // Without a queue a publication would come back.
    machine.runtime.block_on(make(bus, "sink"));
    let published = operations_per_second(
        ROUNDS,
        &mut [
            Contender::new("by hand", || bench.publish_by_hand(false)),
            Contender::new("by hand, spans", || bench.publish_by_hand(true)),
            Contender::new("batches, off", || bench.publish(false)),
            Contender::new("batches, on", || bench.publish(true)),
            Contender::new("each, off", || bench.publish_each(false)),
            Contender::new("each, on", || bench.publish_each(true)),
        ],
    );
    for _ in 0..if F::KEEPS { F::CONSUMED / MESSAGES } else { 0 } {
        machine.runtime.block_on(async {
            floor.publish(&messages(), None).await;
            publish(bus, messages()).await;
        });
    }
    print(&format!("{title}, published"), &published, &["in batches of 1,000", "one a call, all calls at once"]);
    let consumed = operations_per_second(
        ROUNDS,
        &mut [
            Contender::new("by hand", || bench.consume_by_hand(false)),
            Contender::new("by hand, spans", || bench.consume_by_hand(true)),
            Contender::new("off", || bench.consume(false)),
            Contender::new("on", || bench.consume(true)),
        ],
    );
    print(&format!("{title}, consumed"), &consumed, &["one by one"]);
}

/// By hand first, without spans and with one by hand, then each way of ours with spans off and on.
fn print(title: &str, samples: &[Samples], ways: &[&str]) {
    let mut titles = vec![("by hand".to_owned(), None), ("by hand, a span a message by hand".to_owned(), None)];
    for way in ways {
        titles.push((format!("ours, {way}, spans off"), Some(0.8)));
        titles.push((format!("ours, {way}, every span exported"), Some(0.7)));
    }
    let mut table = Table::new(&[title, "messages/s", "min–max", "to by hand", "to it with spans", "aim"]);
    for ((title, aim), of_title) in titles.into_iter().zip(samples) {
        let (least, most) = of_title.range();
        let ratio = of_title.ratio(&samples[0]);
        table.row([
            title,
            number(of_title.median()),
            format!("{}–{}", number(least), number(most)),
            format!("{ratio:.2}"),
            format!("{:.2}", of_title.ratio(&samples[1])),
            aim.map_or_else(String::new, |aim| format!("≥ {aim} of by hand: {}", verdict(ratio >= aim))),
        ]);
    }
    table.print();
    println!();
}

fn main() {
    let (telemetry, counts) = traces::install();
    let machine = Machine { runtime: Runtime::new().expect("a runtime"), telemetry, counts };
    match std::env::var("EVENTSOURCE_KAFKA_URL") {
        Ok(address) => kafka::run(&machine, &address),
        Err(_) => println!("SKIPPED: no Kafka; set EVENTSOURCE_KAFKA_URL"),
    }
    match std::env::var("EVENTSOURCE_RABBITMQ_URL") {
        Ok(address) => rabbitmq::run(&machine, &address),
        Err(_) => println!("SKIPPED: no RabbitMQ; set EVENTSOURCE_RABBITMQ_URL"),
    }
    println!("{} spans, none lost", machine.counts.complete());
}
