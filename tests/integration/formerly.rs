//! Events under the names and versions that they had formerly.

use std::future::ready;
use std::sync::Arc;

use eventsource_runtime::bus::{HandlerError, InProcessBus, Received, Relay};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore, NewEvent, Origin, StoreError, StreamId};
use eventsource_runtime::testing::stored;
use eventsource_runtime::{DecodeFault, EventSet, UpcastError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "AccountOpened", alias("Opened", "Begun"))]
struct Opened {
    owner: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(version = 3, alias("Moved"), upcast(1 => into_cents, 2 => in_euros))]
struct Transferred {
    cents: i64,
    currency: String,
}

fn into_cents(mut payload: Value) -> Result<Value, UpcastError> {
    let euros = payload["euros"].as_i64().ok_or_else(|| UpcastError::new("`euros` is no number"))?;
    payload["cents"] = json!(euros * 100);
    Ok(payload)
}

fn in_euros(mut payload: Value) -> Result<Value, UpcastError> {
    payload.as_object_mut().ok_or_else(|| UpcastError::new("no object"))?.insert("currency".to_owned(), json!("EUR"));
    Ok(payload)
}

#[derive(Aggregate, Debug, Default, PartialEq)]
#[aggregate(id = u32, events(Opened, Transferred))]
struct Account {
    owner: String,
    cents: i64,
    currency: String,
}

impl Apply<Opened> for Account {
    fn apply(&mut self, event: Opened) {
        self.owner = event.owner;
    }
}

impl Apply<Transferred> for Account {
    fn apply(&mut self, event: Transferred) {
        (self.cents, self.currency) = (self.cents + event.cents, event.currency);
    }
}

fn event((event_type, schema_version, payload): (&'static str, u32, &'static str)) -> NewEvent {
    let (id, origin) = (Uuid::now_v7(), Arc::new(Origin::at(Timestamp::from_micros(1))));
    NewEvent { id, event_type, schema_version, payload: payload.into(), origin }
}

/// A stream with that event alone, as it is loaded, and as the set reads and the aggregate applies it.
async fn both_ways(stored: (&'static str, u32, &'static str)) -> [Result<Account, DecodeFault>; 2] {
    let (store, stream) = (MemoryStore::new(), StreamId::new("Account", 1));
    store.append(&stream, ExpectedVersion::NoStream, vec![event(stored)]).await.unwrap();
    let loaded = match Repository::<Account, _>::new(store.clone()).load(&1).await {
        Ok(loaded) => Ok(loaded.state),
        Err(StoreError::Decode(error)) => Err(error.fault),
        Err(error) => panic!("{error}"),
    };
    let events = store.read_stream(&stream, Version::START, 1).await.unwrap();
    let applied = AccountEvent::decode(&events[0].as_event_ref()).map_err(|error| error.fault).map(|event| {
        let mut account = Account::default();
        account.evolve(event);
        account
    });
    [loaded, applied]
}

#[tokio::test]
async fn what_was_stored_formerly_is_read_as_what_it_is_today() {
    let opened = || Account { owner: "Ada".to_owned(), ..Account::default() };
    let moved = |cents| Account { cents, currency: "EUR".to_owned(), ..Account::default() };
    let cases = [
        ("AccountOpened", 1, r#"{"owner":"Ada"}"#, Ok(opened())),
        ("Opened", 1, r#"{"owner":"Ada"}"#, Ok(opened())),
        ("Begun", 1, r#"{"owner":"Ada"}"#, Ok(opened())),
        ("Transferred", 3, r#"{"cents":7,"currency":"EUR"}"#, Ok(moved(7))),
        ("Transferred", 2, r#"{"cents":7}"#, Ok(moved(7))),
        ("Moved", 1, r#"{"euros":7}"#, Ok(moved(700))),
        ("Moved", 1, r#"{"euros":"?"}"#, Err(DecodeFault::Upcast)),
        ("Moved", 4, r#"{"cents":7}"#, Err(DecodeFault::Newer)),
        ("Begun", 2, r#"{"owner":"Ada"}"#, Err(DecodeFault::Newer)),
        ("Begun", 1, r#"{"owner":7}"#, Err(DecodeFault::Payload)),
        ("opened", 1, r#"{"owner":"Ada"}"#, Err(DecodeFault::UnknownType)),
    ];
    for (event_type, schema_version, payload, expected) in cases {
        let [loaded, applied] = both_ways((event_type, schema_version, payload)).await;
        assert_eq!((&loaded, &applied), (&expected, &expected), "{event_type} {schema_version} {payload}");
    }
}

#[test]
fn a_test_reads_a_payload_as_a_store_does() {
    let read = |version, json| match stored::<Transferred>(version, json) {
        Ok(event) => Ok((event.cents, event.currency)),
        Err(error) => Err(error.fault),
    };
    assert_eq!(read(1, r#"{"euros":7}"#), Ok((700, "EUR".to_owned())));
    assert_eq!(read(3, r#"{"cents":7,"currency":"CHF"}"#), Ok((7, "CHF".to_owned())));
    assert_eq!(read(1, r#"{"euros":"?"}"#), Err(DecodeFault::Upcast));
    assert_eq!(read(4, r#"{"cents":7}"#), Err(DecodeFault::Newer));
    assert_eq!(read(3, r#"{"cents":7}"#), Err(DecodeFault::Payload));
}

/// Whoever listed the name alone passed over what an older or a newer release had written.
#[tokio::test]
async fn what_was_stored_formerly_is_followed_and_delivered_by_its_type() {
    let (store, stream, bus) = (MemoryStore::new(), StreamId::new("Account", 1), InProcessBus::new());
    let (heard, mut handled) = mpsc::unbounded_channel();
    let tell = move |received: Received| {
        ready(heard.send(received.event_type().map(str::to_owned)).map_err(HandlerError::from))
    };
    let running = bus.subscribe("one").event::<Opened>().event::<Transferred>().handle(tell).await.unwrap();
    let stored = [("Begun", 1, "{}"), ("Other", 1, "{}"), ("Moved", 1, "{}"), ("AccountOpened", 1, "{}")];
    store.append(&stream, ExpectedVersion::Any, stored.map(event).into()).await.unwrap();
    let relay = Relay::new("out", store.clone(), bus.clone()).spawn();
    relay.wait_for(store.head().await.unwrap()).await.unwrap();
    for expected in ["Begun", "Moved", "AccountOpened"] {
        assert_eq!(handled.recv().await.flatten().as_deref(), Some(expected));
    }
    let opened = store.read_all(Position::START, &Filter::all().event::<Opened>(), 10).await.unwrap();
    let names: Vec<_> = opened.events.iter().map(|event| &*event.event_type).collect();
    assert_eq!(names, ["Begun", "AccountOpened"]);
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}
