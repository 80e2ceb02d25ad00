//! What is no refusal of a command, whatever its aggregate calls it.

use std::sync::atomic::AtomicUsize;

use eventsource_runtime::store::{MemoryStore, StoreError};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Event, Serialize, Deserialize)]
struct Reserved;

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, error = StockError, events(Reserved))]
struct Stock;

impl Apply<Reserved> for Stock {
    fn apply(&mut self, _: Reserved) {}
}

#[derive(Debug, thiserror::Error)]
enum StockError {
    #[error("the stock cannot be read")]
    Unread(#[from] StoreError),
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Stock)]
struct Reserve {
    #[command(id)]
    stock: Uuid,
}

/// Another store, which is away for as many questions.
#[derive(Clone)]
struct Shelves(Arc<AtomicUsize>);

#[command_handler]
impl Stock {
    fn reserve(&self, _: Reserve, shelves: &Shelves) -> Result<Reserved, StockError> {
        let left = shelves.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() { Err(StoreError::backend("read the stock", "nobody is there").into()) } else { Ok(Reserved) }
    }
}

#[derive(Event, Serialize, Deserialize)]
struct GivenUp;

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(GivenUp))]
struct Reserving;

impl Apply<GivenUp> for Reserving {
    fn apply(&mut self, _: GivenUp) {}
}

#[process_manager]
impl Reserving {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<Reserve, uuid::Error> {
        Ok(Reserve { stock: event.aggregate_id().parse()? })
    }

    fn refused(&self, _: &Rejected<Reserve>) -> Reaction<Self> {
        Reaction::new().record(GivenUp)
    }
}

/// The order was given up for an outage of a second.
#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_behind_a_refusal_is_waited_for() {
    let store = MemoryStore::new();
    let placed = commands(&store).dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    let stock = Repository::<Stock, _>::new(store.clone()).with_services(Shelves(Arc::new(AtomicUsize::new(20))));
    let bus = CommandBus::builder().aggregate(stock).build();
    let managers = ProcessManagerRunner::new(store.clone(), bus).process_manager::<Reserving>().max_retries(0).spawn();
    managers.wait_for(placed.position).await.unwrap();
    quiet(&managers, &store).await;
    let events = all_events(&store).await;
    let is_there = |name: &str| events.iter().any(|event| &*event.event_type == name);
    assert!(is_there(Reserved::NAME) && !is_there(GivenUp::NAME), "{events:?}");
    managers.shutdown().await.unwrap();
}
