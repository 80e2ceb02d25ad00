//! What a relay publishes in place of the store's own events.

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received, Relay};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionStopped;
use eventsource_runtime::store::{Filter, MemoryStore};
use eventsource_runtime::{StoredEvent, UpcastError};
use eventsource_tests::orders::OrderPlaced;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{bus, place, ship};

#[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "shop.order_placed", version = 2, upcast(1 => without_lines))]
struct Announced {
    lines: usize,
}

fn without_lines(_: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    Err(UpcastError::new("nobody has announced one"))
}

/// Orders that are placed are announced, those that are shipped are nobody's business.
fn announced(event: &StoredEvent) -> Result<Option<Message>, ProjectionError> {
    if !event.is::<OrderPlaced>() {
        return Ok(None);
    }
    let lines = event.decode::<OrderPlaced>()?.lines.len();
    Ok(Some(Message::of(event).with_event(&Announced { lines })?.with_header("tenant", "north")))
}

async fn stored(store: &MemoryStore) -> Vec<StoredEvent> {
    store.read_all(Position::START, &Filter::all(), 100).await.unwrap().events
}

/// Three orders, of which the first is shipped.
async fn a_shop() -> MemoryStore {
    let store = MemoryStore::new();
    let orders = [(); 3].map(|()| Uuid::now_v7());
    for order in orders {
        bus(&store).dispatch(place(order)).await.unwrap();
    }
    bus(&store).dispatch(ship(orders[0])).await.unwrap();
    store
}

#[tokio::test]
async fn others_get_what_is_made_of_an_event_at_its_place_and_in_its_trace() {
    let (store, out) = (a_shop().await, InProcessBus::new());
    let (sender, mut seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| std::future::ready(sender.send(received).map_err(HandlerError::from));
    let running = out.subscribe("one").handle(handler).await.unwrap();
    let relay = Relay::new("out", store.clone(), out.clone()).translate(announced).spawn();
    relay.wait_for(store.head().await.unwrap()).await.unwrap();
    for event in &stored(&store).await[..3] {
        let received = seen.recv().await.unwrap();
        let decoded = received.decode::<Announced>().unwrap();
        assert_eq!((received.event_type(), received.schema_version()), (Some("shop.order_placed"), Some(2)));
        assert_eq!((received.id(), received.stream()), (Some(event.id), Some(&event.stream)));
        assert_eq!(decoded.lines, event.decode::<OrderPlaced>().unwrap().lines.len());
        assert_eq!(received.headers().text("tenant"), Some("north"));
        assert_eq!(received.trace_context(), event.trace_context.as_ref());
    }
    relay.shutdown().await.unwrap();
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 3, "and no more");
}

#[tokio::test]
async fn what_cannot_be_translated_stops_the_relay_before_it_or_is_skipped() {
    let failing: [fn() -> Option<Message>; 2] = [|| None, || panic!("as it must")];
    for fail in failing {
        let (store, out) = (a_shop().await, InProcessBus::new());
        let running = out.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
        let head = store.head().await.unwrap();
        let translate = move |event: &StoredEvent| match event.position.get() {
            2 => fail().map(Some).ok_or_else(|| ProjectionError::new("of no use")),
            _ => Ok(Some(Message::of(event))),
        };
        let relay = || Relay::new("out", store.clone(), out.clone()).translate(translate);
        let stopped = relay().spawn().wait_for(head).await.unwrap_err();
        let ProjectionStopped::Failed { checkpoint, .. } = stopped else { panic!("{stopped:?}") };
        assert_eq!(checkpoint, 1, "what stands before it is published");
        let relay = relay().skip_unpublishable().spawn();
        relay.wait_for(head).await.unwrap();
        relay.shutdown().await.unwrap();
        assert_eq!(running.shutdown().await.unwrap().acknowledged, 3, "each once");
    }
}
