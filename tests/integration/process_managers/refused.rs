//! What is no refusal of a command, whatever its aggregate calls it, and refusals that a manager does nothing about.

use std::sync::atomic::AtomicUsize;

use eventsource_runtime::store::{MemoryStore, StoreError};
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
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
    #[error("nothing is lent")]
    NotLent,
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Stock)]
struct Reserve {
    #[command(id)]
    stock: Uuid,
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Stock)]
struct Borrow {
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

    fn borrow(&self, _: Borrow, _: &Shelves) -> Result<Reserved, StockError> {
        Err(StockError::NotLent)
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

/// Has no method for a refusal.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(GivenUp))]
struct Insisting;

impl Apply<GivenUp> for Insisting {
    fn apply(&mut self, _: GivenUp) {}
}

#[process_manager]
impl Insisting {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<Borrow, uuid::Error> {
        Ok(Borrow { stock: event.aggregate_id().parse()? })
    }
}

/// Has one, which gives up or does nothing.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(GivenUp))]
struct Relenting;

impl Apply<GivenUp> for Relenting {
    fn apply(&mut self, _: GivenUp) {}
}

#[process_manager]
impl Relenting {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<Borrow, uuid::Error> {
        Ok(Borrow { stock: event.aggregate_id().parse()? })
    }

    fn refused(&self, _: &Rejected<Borrow>) -> Reaction<Self> {
        Reaction::new().record(GivenUp)
    }
}

/// The process ended, and nothing said so.
#[tokio::test]
async fn a_refusal_that_nobody_minds_is_told_and_found() {
    const TOLD: &str = "eventsource.process_manager.refusal_ignored";
    const PAGE: &str = include_str!("../../../eventsource-runtime/docs/operating.md");
    let ((log, _guard), recorder) = (Log::of_thread(), Recorder::new());
    let (store, order) = (sqlite().await, Uuid::now_v7());
    commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    let stock = Repository::<Stock, _>::new(store.clone()).with_services(Shelves(Arc::default()));
    let bus = CommandBus::builder().aggregate(stock).build();
    let runner = ProcessManagerRunner::new(store.clone(), bus).process_manager::<Insisting>();
    let react = async {
        let managers = runner.process_manager::<Relenting>().spawn();
        quiet(&managers, &store).await;
        managers.shutdown().await.unwrap();
    };
    recorder.run(react).await;
    let process = format!("Insisting-{order}");
    log.hears_of(TOLD, "eventsource.projection.name", "Insisting").await;
    log.hears_of(TOLD, "eventsource.stream.id", &process).await;
    log.hears_of(TOLD, "cqrs.command.type", "Borrow").await;
    assert_eq!(log.names_of("eventsource::projection"), [TOLD]);
    log.has_ids(TOLD, &recorder.spans());

    let is_meant = |block: &&str| block.starts_with("-- SQLite") && block.contains("$.to.Rejected");
    let query = PAGE.split("```").filter_map(|block| block.strip_prefix("sql\n")).find(is_meant).unwrap();
    let queries = ["Insisting", "Relenting"].map(|manager| query.replace("Shipping", manager));
    let read = move |connection: &rusqlite::Connection| {
        let found = queries.iter().map(|query| {
            let mut statement = connection.prepare(query)?;
            let rows = statement.query_map([], |row| Ok((row.get("stream_id")?, row.get("refusal")?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
        });
        found.collect::<rusqlite::Result<Vec<_>>>()
    };
    let found = store.reader().read(read).await.unwrap();
    assert_eq!(found, [vec![(process, "NotLent".to_owned())], Vec::new()]);
}
