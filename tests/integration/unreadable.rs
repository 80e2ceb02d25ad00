//! What JSON writes and does not read again is never stored.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::OnFailure;
use eventsource_runtime::store::{AppendError, Filter, MemoryStore, NewEvent, Origin, StoreError, StreamId};
use eventsource_runtime::{DecodeFault, EventRef, EventSet, UpcastError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
struct Measured {
    value: f64,
    note: Option<f64>,
    tree: Vec<Value>,
}
#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Measured))]
struct Probe;
impl Apply<Measured> for Probe {
    fn apply(&mut self, _: Measured) {}
}
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Probe)]
struct Measure {
    #[command(id)]
    probe: String,
    value: f64,
    depth: usize,
}
#[command_handler]
impl Probe {
    fn measure(&self, command: Measure) -> Result<Measured, Infallible> {
        let nested = (0..command.depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        Ok(Measured { value: command.value, note: None, tree: vec![nested] })
    }
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, events(Measured))]
struct Checker;
impl Apply<Measured> for Checker {
    fn apply(&mut self, _: Measured) {}
}
#[process_manager]
impl Checker {
    fn on_measured(&self, event: &Recorded<Measured>) -> Option<Measure> {
        let next = |value| Measure { probe: "other".to_owned(), value, depth: 0 };
        match event.value {
            1.0 => Some(next(f64::INFINITY)),
            2.0 => Some(next(3.0)),
            _ => None,
        }
    }
}

fn measure(value: f64, depth: usize) -> Measure {
    Measure { probe: "one".to_owned(), value, depth }
}

fn bus(store: &MemoryStore) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<Probe, _>::new(store.clone())).build()
}

/// It was stored, with `null` for the number, and its stream could never be loaded again.
#[tokio::test]
async fn an_event_that_could_not_be_read_again_is_refused() {
    let store = MemoryStore::new();
    let bus = bus(&store);
    // The list and the event itself are two levels more.
    for (value, depth, said) in [(f64::NAN, 1, "NaN"), (f64::NEG_INFINITY, 1, "NaN"), (1.0, 127, "nested")] {
        let refused = bus.dispatch(measure(value, depth)).await.unwrap_err();
        assert!(matches!(&refused, DispatchError::Append(AppendError::Encode(_))), "{refused:?}");
        let text = refused.to_string();
        assert!(
            text.starts_with("event `Measured` for `Probe-one` cannot be read back") && text.contains(said),
            "{text}"
        );
        assert_eq!(store.head().await.unwrap(), Position::START);
    }
    bus.dispatch(measure(1.0, 125)).await.unwrap();
    assert_eq!(bus.dispatch(measure(4.0, 0)).await.unwrap().version, 2);
}

/// The command was kept, could not be dispatched, and held up its process for ever.
#[tokio::test]
async fn a_command_that_could_not_be_read_again_is_not_kept() {
    let store = MemoryStore::new();
    let managers = ProcessManagerRunner::new(store.clone(), bus(&store)).process_manager::<Checker>();
    let managers = managers.max_retries(0).on_failure(OnFailure::Skip).spawn();
    for value in [1.0, 2.0] {
        let measured = bus(&store).dispatch(measure(value, 0)).await.unwrap();
        managers.wait_for(measured.position).await.unwrap();
    }
    managers.shutdown().await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 100).await.unwrap();
    let of = |stream: StreamId| page.events.iter().filter(move |event| event.stream == stream);
    assert_eq!(of(StreamId::new("Probe", "other")).count(), 1);
    // The second event's command was noted, and that it was dispatched; of the first one there is nothing.
    assert_eq!(of(StreamId::new("Checker", "one")).count(), 2);
}

#[derive(Event, Serialize, Deserialize)]
#[event(version = 3, upcast(2 => newer))]
struct Weighed {
    grams: u64,
}

/// Leaves a text as it is, which the type does not take.
fn newer(payload: Value) -> Result<Value, UpcastError> {
    if payload["grams"].is_string() { Ok(payload) } else { Err(UpcastError::new("there were no weights then")) }
}

#[derive(Aggregate, Default)]
#[aggregate(id = u32, events(Weighed))]
struct Scales;
impl Apply<Weighed> for Scales {
    fn apply(&mut self, _: Weighed) {}
}

fn an_event(event_type: &'static str, schema_version: u32, payload: &'static str) -> NewEvent {
    let (id, origin) = (Uuid::now_v7(), Arc::new(Origin::at(Timestamp::from_micros(1))));
    NewEvent { id, event_type, schema_version, payload: payload.into(), origin }
}

/// What a program cannot read it says: of which stream, where, of what type, and why.
#[tokio::test]
async fn an_event_that_cannot_be_read_is_told_by_its_place_and_type() {
    let faults = [
        ("Counted", 3, "{}", DecodeFault::UnknownType),
        ("Weighed", 4, r#"{"grams":1}"#, DecodeFault::Newer),
        ("Weighed", 1, r#"{"grams":1}"#, DecodeFault::NoUpcast),
        ("Weighed", 2, r#"{"grams":1}"#, DecodeFault::Upcast),
        ("Weighed", 2, r#"{"grams":"secret"}"#, DecodeFault::Upcasted),
        ("Weighed", 3, r#"{"grams":"secret"}"#, DecodeFault::Payload),
    ];
    for (number, (event_type, schema_version, payload, fault)) in (1..).zip(faults) {
        let store = MemoryStore::new();
        let scales = Repository::<Scales, _>::new(store.clone());
        scales.append(&number, ExpectedVersion::NoStream, Weighed { grams: 1 }).await.unwrap();
        let event = an_event(event_type, schema_version, payload);
        store.append(&StreamId::new("Scales", number), ExpectedVersion::Any, vec![event]).await.unwrap();
        let Err(StoreError::Decode(error)) = scales.load(&number).await else { panic!("{fault:?}") };
        assert_eq!((error.fault, error.stream.to_string()), (fault, format!("Scales-{number}")));
        assert_eq!((error.version.get(), &*error.event_type, error.schema_version), (2, event_type, schema_version));
        let (at, kind) = ((error.version, Position::START), (event_type, schema_version));
        let stored = EventRef::new(&error.stream, at, kind, payload.as_bytes());
        assert_eq!(ScalesEvent::decode(&stored).err().map(|alone| alone.fault), Some(fault));
        let said = format!("event 2 of `Scales-{number}` (`{event_type}`, schema version {schema_version})");
        assert!(error.to_string().starts_with(&said) && !format!("{error:?}").contains("secret"), "{error:?}");
        // What an upcaster made is stored nowhere: a place in it is one in no text.
        let names_a_place = error.source().is_some_and(|source| source.to_string().contains("at line 1"));
        assert_eq!(names_a_place, fault == DecodeFault::Payload, "{error:?}");
    }
}

#[derive(Clone, Default)]
struct Values(Arc<AtomicUsize>);

#[projection]
impl Values {
    fn measured(&self, _: &Recorded<Measured>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_projection_reads_no_event_that_it_does_not_list() {
    let (store, values) = (MemoryStore::new(), Values::default());
    let nobodys = ["Weighed", "Counted"].map(|event_type| an_event(event_type, 9, "no JSON")).into();
    store.append(&StreamId::new("Scales", 1), ExpectedVersion::NoStream, nobodys).await.unwrap();
    let measured = bus(&store).dispatch(measure(4.0, 0)).await.unwrap();
    let projections = ProjectionRunner::new(store.clone()).projection(values.clone()).spawn();
    projections.wait_for(measured.position).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(values.0.load(Ordering::SeqCst), 1);
}

#[derive(Event, Serialize, Deserialize)]
struct Opened {}
#[derive(Event, Serialize, Deserialize)]
struct Renamed {}

/// Of an old release.
#[derive(Aggregate, Default)]
#[aggregate(id = u32, name = "Account", events(Opened))]
struct OldAccount;
impl Apply<Opened> for OldAccount {
    fn apply(&mut self, _: Opened) {}
}
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = OldAccount)]
struct Open {
    #[command(id)]
    account: u32,
}
#[command_handler]
impl OldAccount {
    fn open(&self, _: Open) -> Result<Opened, Infallible> {
        Ok(Opened {})
    }
}

/// Of the new one, with one more type of event.
#[derive(Aggregate, Default)]
#[aggregate(id = u32, name = "Account", events(Opened, Renamed))]
struct NewAccount;
impl Apply<Opened> for NewAccount {
    fn apply(&mut self, _: Opened) {}
}
impl Apply<Renamed> for NewAccount {
    fn apply(&mut self, _: Renamed) {}
}

/// As the page about operating says of a new type of event: a projection passes over it, an aggregate does not.
#[tokio::test]
async fn an_aggregate_of_an_old_release_fails_at_a_new_type_of_event_for_good() {
    let store = MemoryStore::new();
    let bus = CommandBus::builder().aggregate(Repository::<OldAccount, _>::new(store.clone())).build();
    bus.dispatch(Open { account: 1 }).await.unwrap();
    let new = Repository::<NewAccount, _>::new(store);
    new.append(&1, ExpectedVersion::Exists, Renamed {}).await.unwrap();
    for _ in 0..2 {
        let failed = bus.dispatch(Open { account: 1 }).await.unwrap_err();
        let DispatchError::Load(StoreError::Decode(error)) = &failed else { panic!("{failed:?}") };
        assert_eq!((error.version.get(), error.fault), (2, DecodeFault::UnknownType));
        assert!(failed.is_permanent());
    }
    assert_eq!(new.load(&1).await.unwrap().version, 2);
    // Other streams go on.
    bus.dispatch(Open { account: 2 }).await.unwrap();
}
