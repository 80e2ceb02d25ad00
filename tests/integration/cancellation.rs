//! Futures that are dropped, at every point at which they wait.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, MemoryStore};
use eventsource_tests::orders::Order;
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{bus, dropped_after, place, ship, sqlite};

/// Drops a command after every number of polls until one is enough, and checks after each that all is in order.
async fn dropped_everywhere<S: EventStore>(store: S) {
    let recorder = Recorder::new();
    let orders = Repository::<Order, _>::new(store.clone());
    let bus = bus(&store);
    for polls in 0.. {
        let order = Uuid::now_v7();
        let done = recorder.run(dropped_after(polls, bus.dispatch(place(order)))).await;
        assert_eq!(recorder.open_spans(), 0, "after {polls} polls");
        let version = orders.load(&order).await.unwrap().version;
        // The append may have been made; then the order goes on from there, and otherwise from the start.
        assert!(version == 0 || version == 1);
        if version == 0 {
            bus.dispatch(place(order)).await.unwrap();
        }
        bus.dispatch(ship(order)).await.unwrap();
        if done.is_some() {
            assert!(polls > 0);
            break;
        }
    }
    let page = store.read_all(Position::START, &Filter::all(), 1000).await.unwrap();
    let positions: Vec<_> = page.events.iter().map(|event| event.position.get()).collect();
    assert!(positions.is_sorted(), "{positions:?}");
}

#[tokio::test]
async fn a_command_is_dropped_everywhere_in_memory() {
    dropped_everywhere(MemoryStore::new()).await;
}

#[tokio::test]
async fn a_command_is_dropped_everywhere_on_sqlite() {
    dropped_everywhere(sqlite().await).await;
}

#[derive(Event, Serialize, Deserialize)]
struct Waited;

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Waited))]
struct Patience;

impl Apply<Waited> for Patience {
    fn apply(&mut self, _: Waited) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Patience)]
struct Wait {
    #[command(id)]
    id: Uuid,
}

#[command_handler]
impl Patience {
    async fn wait(&self, _: Wait) -> Result<Waited, Infallible> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_dropped_command_says_that_it_was_cancelled() {
    let recorder = Recorder::new();
    let bus = CommandBus::builder().aggregate(Repository::<Patience, _>::new(MemoryStore::new())).build();
    let dropped = recorder.run(dropped_after(1, bus.dispatch(Wait { id: Uuid::now_v7() }))).await;
    assert!(dropped.is_none());
    let trees = recorder.trees();
    assert_eq!(trees.names(), "command.Wait(load_aggregate(event_store.load) handle_command)");
    let rendered = trees.render();
    assert_eq!(rendered.matches("eventsource.cancelled=true").count(), 2, "{rendered}");
    assert!(!rendered.contains("ERROR"), "{rendered}");
}
