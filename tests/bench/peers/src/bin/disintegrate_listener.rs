//! disintegrate's listener, as the benchmark `projection` asks for it: `disintegrate_listener EVENTS ADDRESS SCHEMA`
//! fills a store with so many events, and for each line it projects all of them from the first on, with one row written
//! for each.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{EventListener, EventStore, PersistedEvent, StreamQuery, query};
use disintegrate_postgres::{Migrator, PgEventId, PgEventListener, PgEventListenerConfig, PgEventStore};
use eventsource_bench_peers::answer;
use eventsource_bench_peers::orders::{AnyCommand, ItemAdded, NoteTaken, OrderPlaced, ids};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

/// How many events are appended at once while the store is filled.
const BATCH: usize = 1_000;
/// More than it needs by far. A listener that fails stops, and nobody hears of it.
const AT_MOST: Duration = Duration::from_mins(1);

const CREATE: &str = "CREATE TABLE counts (kind text PRIMARY KEY, count bigint NOT NULL)";
const UPSERT: &str = "INSERT INTO counts AS old VALUES ($1, 1) ON CONFLICT (kind) DO UPDATE SET count = old.count + 1";

type Store = PgEventStore<PeerEvent, Json<PeerEvent>>;

/// The events of an order as disintegrate wants them.
#[derive(disintegrate::Event, Clone, Debug, Serialize, Deserialize)]
enum PeerEvent {
    OrderPlaced {
        #[id]
        order_id: Uuid,
        placed: OrderPlaced,
    },
    ItemAdded {
        #[id]
        order_id: Uuid,
        added: ItemAdded,
    },
    NoteTaken {
        #[id]
        order_id: Uuid,
        taken: NoteTaken,
    },
}

impl PeerEvent {
    fn nth(order_id: Uuid, ordinal: usize) -> Self {
        match AnyCommand::nth(ordinal) {
            AnyCommand::Place(placed) => Self::OrderPlaced { order_id, placed },
            AnyCommand::Add(added) => Self::ItemAdded { order_id, added },
            AnyCommand::Note(taken) => Self::NoteTaken { order_id, taken },
        }
    }
}

/// Counts the events of each kind, and tells when it has got so many.
struct Counts {
    query: StreamQuery<PgEventId, PeerEvent>,
    pool: PgPool,
    left: AtomicUsize,
    done: Arc<Notify>,
}

#[async_trait]
impl EventListener<PgEventId, PeerEvent> for Counts {
    type Error = sqlx::Error;

    fn id(&self) -> &'static str {
        "counts"
    }

    fn query(&self) -> &StreamQuery<PgEventId, PeerEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, PeerEvent>) -> Result<(), sqlx::Error> {
        let kind = match event.into_inner() {
            PeerEvent::OrderPlaced { .. } => "placed",
            PeerEvent::ItemAdded { .. } => "added",
            PeerEvent::NoteTaken { .. } => "noted",
        };
        sqlx::query(UPSERT).bind(kind).execute(&self.pool).await?;
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.done.notify_one();
        }
        Ok(())
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |name| arguments.next().unwrap_or_else(|| panic!("{name} is missing"));
    let events = argument("EVENTS").parse().expect("a number of events");
    let (address, schema) = (argument("ADDRESS"), argument("SCHEMA"));
    let runtime = Runtime::new().expect("a runtime");
    let (pool, store) = runtime.block_on(filled(&address, &schema, events));
    answer(|_| (events, runtime.block_on(project(&pool, &store, events))));
}

async fn filled(address: &str, schema: &str, events: usize) -> (PgPool, Store) {
    let options = PgConnectOptions::from_str(address).expect("an address").options([("search_path", schema)]);
    let pool = PgPool::connect_with(options).await.expect("a connection");
    let store = Store::try_new(pool.clone(), Json::default()).await.expect("a store");
    Migrator::new(store.clone()).init_listener().await.expect("the tables of listeners");
    sqlx::query(CREATE).execute(&pool).await.expect("a table");
    for order in ids(events / BATCH) {
        let events = (0..BATCH).map(|ordinal| PeerEvent::nth(order, ordinal)).collect();
        store.append_without_validation(events).await.expect("the store works");
    }
    (pool, store)
}

async fn project(pool: &PgPool, store: &Store, events: usize) -> Duration {
    for reset in ["DELETE FROM counts", "UPDATE event_listener SET last_processed_event_id = 0"] {
        sqlx::query(reset).execute(pool).await.expect("PostgreSQL works");
    }
    let done = Arc::new(Notify::new());
    let (query, left) = (query!(PeerEvent), AtomicUsize::new(events));
    let counts = Counts { query, pool: pool.clone(), left, done: Arc::clone(&done) };
    let begun = Instant::now();
    let listener = PgEventListener::builder(store.clone())
        .uninitialized()
        .register_listener(counts, PgEventListenerConfig::poller(Duration::from_millis(50)))
        .start_with_shutdown(async move { done.notified().await });
    timeout(AT_MOST, listener).await.expect("it catches up").expect("it stops");
    let elapsed = begun.elapsed();
    let counted: i64 = sqlx::query_scalar("SELECT sum(count)::bigint FROM counts").fetch_one(pool).await.expect("rows");
    assert_eq!(usize::try_from(counted), Ok(events));
    elapsed
}
