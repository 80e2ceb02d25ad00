//! Log events as log records of OpenTelemetry.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{ExpectedVersion, MemoryStore, NewEvent, Origin, StreamId};
use eventsource_runtime::telemetry::{TelemetryBuilder, span};
use eventsource_tests::logged::Log;
use eventsource_tests::orders::OrderCancelled;
use eventsource_tests::recorder::Recorder;
use opentelemetry::InstrumentationScope;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{InMemoryLogExporter, LogBatch, LogExporter, SdkLogRecord};
use serde::{Deserialize, Serialize};
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;
use uuid::Uuid;

use crate::{bus, place};

pub(crate) fn recorded(set: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> (Recorder, InMemoryLogExporter) {
    let logs = InMemoryLogExporter::default();
    (Recorder::with(|builder| set(builder.log_exporter(logs.clone()))), logs)
}

pub(crate) async fn records(recorder: &Recorder, logs: &InMemoryLogExporter) -> Vec<SdkLogRecord> {
    recorder.flush().await;
    logs.get_emitted_logs().unwrap().into_iter().map(|log| log.record).collect()
}

pub(crate) fn names(records: &[SdkLogRecord]) -> Vec<&str> {
    records.iter().map(|record| record.event_name().unwrap_or_default()).collect()
}

pub(crate) fn attribute(record: &SdkLogRecord, key: &str) -> Option<String> {
    record.attributes_iter().find(|(found, _)| found.as_str() == key).map(|(_, value)| match value {
        AnyValue::String(text) => text.to_string(),
        other => format!("{other:?}"),
    })
}

/// Nothing of the application's takes events here: no subscriber is needed.
#[tokio::test]
async fn a_log_event_is_a_log_record_with_the_ids_of_its_span() {
    let (recorder, logs) = recorded(|builder| builder);
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let twice = async {
        bus(&store).dispatch(place(order)).await.unwrap();
        bus(&store).dispatch(place(order)).await.unwrap_err();
    };
    recorder.run(twice).await;
    let records = records(&recorder, &logs).await;
    assert_eq!(names(&records), ["eventsource.command.rejected"]);
    let [record] = &records[..] else { unreachable!() };
    assert_eq!(record.target().unwrap(), "eventsource::command");
    assert_eq!((record.severity_text(), record.body()), (Some("INFO"), Some(&AnyValue::from("rejected"))));
    assert_eq!(attribute(record, "cqrs.command.type").as_deref(), Some("PlaceOrder"));
    assert_eq!(attribute(record, "error.type").as_deref(), Some("WrongStatus"));
    assert_eq!(attribute(record, "eventsource.aggregate.id"), Some(order.to_string()));
    assert_eq!(attribute(record, "trace_id"), None, "the record has the ids by itself");
    let spans = recorder.spans();
    let refused = spans.iter().rfind(|span| span.name == "command.PlaceOrder").unwrap();
    let context = record.trace_context().unwrap();
    assert_eq!((context.trace_id, context.span_id), (refused.span_context.trace_id(), refused.span_context.span_id()));
}

/// The error's name alone said nothing of what to mend.
#[tokio::test]
async fn of_an_event_that_cannot_be_read_its_place_and_what_is_wrong_are_told() {
    let (recorder, logs) = recorded(|builder| builder);
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let origin = Arc::new(Origin::at(Timestamp::from_micros(0)));
    let newer =
        NewEvent { id: Uuid::now_v7(), event_type: "OrderPlaced", schema_version: 99, payload: "{}".into(), origin };
    let stream = StreamId::new("Order", order);
    store.append(&stream, ExpectedVersion::NoStream, vec![newer]).await.unwrap();
    recorder.run(async { bus(&store).dispatch(place(order)).await.unwrap_err() }).await;
    let records = records(&recorder, &logs).await;
    // That of the load, and that of the command.
    assert_eq!(names(&records), ["eventsource.span.failed"; 2]);
    for record in &records {
        let told = |key: &str| attribute(record, key);
        assert_eq!(told("eventsource.stream.id"), Some(stream.to_string()));
        assert_eq!(told("eventsource.version").as_deref(), Some("Int(1)"));
        assert_eq!(told("eventsource.event.type").as_deref(), Some("OrderPlaced"));
        assert_eq!(told("eventsource.decode.fault").as_deref(), Some("newer"));
    }
}

#[tokio::test]
async fn the_applications_events_are_exported_by_a_layer_and_ours_once() {
    let (recorder, logs) = recorded(|builder| builder);
    let subscriber = Dispatch::new(tracing_subscriber::registry().with(recorder.telemetry().log_layer()));
    let _default = tracing::dispatcher::set_default(&subscriber);
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let work = span("outer").run(async {
        tracing::info!(target: "orders", kind = "gift", "about to place");
        bus(&store).dispatch(place(order)).await.unwrap();
        bus(&store).dispatch(place(order)).await.unwrap_err();
    });
    recorder.run(work).await;
    let records = records(&recorder, &logs).await;
    let targets: Vec<_> = records.iter().map(|record| record.target().unwrap().to_string()).collect();
    assert_eq!(targets, ["orders", "eventsource::command"]);
    let spans = recorder.spans();
    let outer = spans.iter().find(|span| span.name == "outer").unwrap();
    assert_eq!(records[0].trace_context().unwrap().span_id, outer.span_context.span_id());
    assert_eq!(attribute(&records[0], "kind").as_deref(), Some("gift"));
}

/// A receiver could not tell which conventions its names follow.
#[tokio::test]
async fn the_records_of_our_events_have_the_scope_of_our_spans_and_the_applications_none() {
    let (recorder, logs) = recorded(|builder| builder);
    let subscriber = Dispatch::new(tracing_subscriber::registry().with(recorder.telemetry().log_layer()));
    let _default = tracing::dispatcher::set_default(&subscriber);
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    let work = async {
        tracing::info!(target: "orders", "about to place twice");
        bus(&store).dispatch(place(order)).await.unwrap();
        bus(&store).dispatch(place(order)).await.unwrap_err();
    };
    recorder.run(work).await;
    recorder.flush().await;
    let scopes: Vec<_> = logs.get_emitted_logs().unwrap().into_iter().map(|log| log.instrumentation).collect();
    let ours = recorder.trees().span("command.PlaceOrder").instrumentation_scope.clone();
    assert!(ours.version().is_some() && ours.schema_url().is_some(), "{ours:?}");
    assert_eq!(scopes, [InstrumentationScope::default(), ours]);
}

/// A repository with more events in one command than a span keeps.
#[tokio::test]
async fn span_events_are_log_events_where_asked_for() {
    let (recorder, logs) = recorded(TelemetryBuilder::span_events_as_logs);
    let store = MemoryStore::new();
    let orders = Repository::<eventsource_tests::orders::Order, _>::new(store.clone());
    let many = vec![OrderCancelled { reason: "too slow".into() }; 200];
    let work = async {
        orders.append(&Uuid::now_v7(), ExpectedVersion::NoStream, many).await.unwrap();
        bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    };
    recorder.run(work).await;
    let (records, spans) = (records(&recorder, &logs).await, recorder.spans());
    assert!(spans.iter().all(|span| span.events.is_empty()));
    let count = |name: &str| records.iter().filter(|record| record.event_name() == Some(name)).count();
    assert_eq!(count("eventsource.span_event.event_persisted"), 201);
    assert_eq!(count("eventsource.span_event.domain_event_produced"), 1);
    let last = records.iter().rfind(|record| attribute(record, "eventsource.position").is_some()).unwrap();
    assert_eq!(attribute(last, "eventsource.event.type").as_deref(), Some("OrderPlaced"));
    assert_eq!(attribute(last, "eventsource.version").as_deref(), Some("Int(1)"));
    let persist = spans.iter().rfind(|span| span.name == "persist_events").unwrap();
    assert_eq!(last.trace_context().unwrap().span_id, persist.span_context.span_id());
}

#[derive(Event, Serialize, Deserialize)]
struct Charged {
    #[event(attribute)]
    amount: u64,
    #[event(attribute)]
    currency: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Charged))]
struct Account;

impl Apply<Charged> for Account {
    fn apply(&mut self, _: Charged) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
struct Charge(#[command(id)] Uuid);

#[command_handler]
impl Account {
    fn charge(&self, _: Charge) -> Result<Charged, Infallible> {
        Ok(Charged { amount: 200, currency: "EUR".into() })
    }
}

#[tokio::test]
async fn what_users_named_on_a_span_event_is_on_its_log_record() {
    let other = InMemoryLogExporter::default();
    let (recorder, logs) = recorded(|builder| builder.log_exporter(other.clone()).span_events_as_logs());
    let (log, _guard) = Log::of_thread();
    let accounts = Repository::<Account, _>::new(MemoryStore::new());
    let commands = CommandBus::builder().aggregate(accounts).build();
    recorder.run(commands.dispatch(Charge(Uuid::now_v7()))).await.unwrap();
    let records = records(&recorder, &logs).await;
    let produced = "eventsource.span_event.domain_event_produced";
    let record = records.iter().find(|record| record.event_name() == Some(produced)).unwrap();
    assert_eq!(attribute(record, "eventsource.event.type").as_deref(), Some("Charged"));
    assert_eq!(attribute(record, "amount").as_deref(), Some("Int(200)"));
    assert_eq!(attribute(record, "currency").as_deref(), Some("EUR"));
    assert_eq!(attribute(record, "eventsource.event.attributes"), None, "it has the attributes themselves");
    assert_eq!(log.texts_of("eventsource.event.attributes"), ["amount=200 currency=EUR"]);
    let has_amount =
        |record: &SdkLogRecord| record.attributes_iter().filter(|(key, _)| key.as_str() == "amount").count();
    for exported in [logs, other] {
        let records = exported.get_emitted_logs().unwrap();
        assert_eq!(records.iter().map(|log| has_amount(&log.record)).sum::<usize>(), 1, "each exporter has it once");
    }
    let persisted = "eventsource.span_event.event_persisted";
    let record = records.iter().find(|record| record.event_name() == Some(persisted)).unwrap();
    assert_eq!(attribute(record, "amount"), None);
}

#[tokio::test]
async fn what_is_slow_is_told() {
    let (recorder, logs) = recorded(|builder| builder.log_slow(Duration::ZERO));
    let store = eventsource_runtime::store::SqliteStore::open(":memory:").await.unwrap();
    recorder.run(bus(&store).dispatch(place(Uuid::now_v7()))).await.unwrap();
    let slow = records(&recorder, &logs).await;
    let mut told = names(&slow);
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, ["eventsource.command.slow", "eventsource.store.slow"]);
    let spans = recorder.spans();
    for record in &slow {
        let span_id = record.trace_context().unwrap().span_id;
        let span = spans.iter().find(|span| span.span_context.span_id() == span_id).unwrap();
        let own = ["command.PlaceOrder", "event_store.load", "event_store.append", "snapshot_store.get"];
        assert!(own.contains(&&*span.name), "{}", span.name);
    }
}

#[tokio::test]
async fn what_takes_no_second_is_not_slow() {
    let (recorder, logs) = recorded(|builder| builder);
    recorder.run(bus(&MemoryStore::new()).dispatch(place(Uuid::now_v7()))).await.unwrap();
    assert_eq!(names(&records(&recorder, &logs).await), [""; 0]);
}

/// Fails, and logs while it does, as transports do.
struct Talking {
    exported: Arc<AtomicUsize>,
    subscriber: Arc<std::sync::OnceLock<Dispatch>>,
}

impl fmt::Debug for Talking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Talking")
    }
}

impl LogExporter for Talking {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.exported.fetch_add(batch.iter().count(), Ordering::SeqCst);
        if let Some(subscriber) = self.subscriber.get() {
            tracing::dispatcher::with_default(subscriber, || {
                tracing::error!(target: "transport", "no route to the collector");
                span("transport.send").in_scope(|| ());
            });
        }
        Err(OTelSdkError::InternalFailure("no route to the collector".into()))
    }
}

/// Its exporter's own events, and that it fails, would be exported, and fail, and so on.
#[tokio::test]
async fn what_an_exporter_does_is_neither_logged_to_it_nor_traced() {
    let (exported, subscriber) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::OnceLock::new()));
    let talking = Talking { exported: Arc::clone(&exported), subscriber: Arc::clone(&subscriber) };
    let recorder = Recorder::with(|builder| builder.log_exporter(talking));
    let layer = recorder.telemetry().log_layer();
    subscriber.set(Dispatch::new(tracing_subscriber::registry().with(layer))).unwrap();
    let store = MemoryStore::new();
    let order = Uuid::now_v7();
    let twice = async {
        bus(&store).dispatch(place(order)).await.unwrap();
        bus(&store).dispatch(place(order)).await.unwrap_err();
    };
    recorder.run(twice).await;
    for _ in 0..20 {
        // It says that the exporter failed, or has nothing to say.
        let _ = recorder.telemetry().force_flush().await;
    }
    assert_eq!(exported.load(Ordering::SeqCst), 1, "the one event of the refusal");
    assert!(recorder.spans().iter().all(|span| span.name != "transport.send"));
}
