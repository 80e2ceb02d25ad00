//! Two services, two processes, one trace: orders are stored in PostgreSQL and relayed to Kafka; an inventory consumes
//! them, reserves stock with its own command, and keeps its own read model.
//!
//! ```text
//! EVENTSOURCE_POSTGRES_URL=postgres://user@localhost/shop EVENTSOURCE_KAFKA_URL=localhost:9092 \
//!   cargo run -p eventsource-examples --features kafka,postgres --example postgres_kafka
//! ```
//!
//! The program starts itself a second time, as the inventory; each prints its own part of the trace. Look for the
//! trace's id: `command.PlaceOrder` in the first leads to `process` and `command.ReserveStock` in the second.
//!
//! A message may be delivered more than once. The id of the resulting command is derived from that of the event, so stock
//! is still reserved once.

#![allow(missing_docs, missing_debug_implementations, reason = "an application's own types")]

use std::env;
use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, KafkaBus, KafkaOptions, Received, Relay, Subscription};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::Projections;
use eventsource_runtime::store::{PostgresOptions, PostgresStore, PostgresTransaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

// ---- The service of orders ----

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub product: String,
    pub quantity: u32,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, error = AlreadyPlaced, events(OrderPlaced))]
pub struct Order {
    is_placed: bool,
}

impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, _: OrderPlaced) {
        self.is_placed = true;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the order was placed before")]
pub struct AlreadyPlaced;

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct PlaceOrder {
    #[command(id)]
    pub order_id: Uuid,
    pub product: String,
    pub quantity: u32,
}

#[command_handler]
impl Order {
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, AlreadyPlaced> {
        if self.is_placed {
            return Err(AlreadyPlaced);
        }
        Ok(OrderPlaced { product: command.product, quantity: command.quantity })
    }
}

/// Where a run keeps what it writes: tables and a topic of its own.
#[derive(Clone, Debug)]
pub struct Places {
    pub postgres: String,
    pub kafka: String,
    pub run: String,
}

impl Places {
    async fn store(&self, service: &str) -> Outcome<PostgresStore> {
        let options = PostgresOptions::default().schema(format!("{service}_{}", self.run));
        Ok(PostgresStore::connect_with(&self.postgres, options).await?)
    }

    async fn bus(&self) -> Outcome<KafkaBus> {
        // For the demonstration, a dead member is detected soon.
        let options = KafkaOptions::new(format!("orders-{}", self.run)).create(3, 1);
        Ok(KafkaBus::connect(&self.kafka, options.session_timeout(Duration::from_secs(6))).await?)
    }
}

/// The orders: stored events are relayed to Kafka at least once, whatever happens in between.
pub struct Orders {
    commands: CommandBus,
    relay: Projections,
}

impl Orders {
    pub async fn open(places: &Places) -> Outcome<Self> {
        let store = places.store("orders").await?;
        let relay = Relay::new("orders to kafka", store.clone(), places.bus().await?).spawn();
        let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build();
        Ok(Self { commands, relay })
    }

    /// Places an order, and waits until it is on its way.
    pub async fn place(&self, product: &str, quantity: u32) -> Outcome {
        let order = PlaceOrder { order_id: Uuid::now_v7(), product: product.into(), quantity };
        let committed = self.commands.dispatch(order).await?;
        self.relay.wait_for(committed.position).await?;
        Ok(())
    }

    pub async fn close(self) -> Outcome {
        self.relay.shutdown().await?;
        Ok(())
    }
}

// ---- The service of the inventory, which has its own store and knows nothing of the other's ----

#[derive(Event, Clone, Debug, Serialize, Deserialize)]
pub struct StockReserved {
    pub quantity: u32,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = NothingToReserve, events(StockReserved))]
pub struct Stock {
    reserved: u32,
}

impl Apply<StockReserved> for Stock {
    fn apply(&mut self, event: StockReserved) {
        self.reserved += event.quantity;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("there is nothing to reserve")]
pub struct NothingToReserve;

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Stock)]
pub struct ReserveStock {
    #[command(id)]
    pub product: String,
    pub quantity: u32,
}

#[command_handler]
impl Stock {
    fn reserve(&self, command: ReserveStock) -> Result<StockReserved, NothingToReserve> {
        if command.quantity == 0 {
            return Err(NothingToReserve);
        }
        Ok(StockReserved { quantity: command.quantity })
    }
}

struct StockLevels {
    table: String,
}

#[projection(enable_tracing = true)]
impl StockLevels {
    #[projection(setup)]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(&format!("CREATE TABLE {} (product text PRIMARY KEY, reserved bigint)", self.table)).await?;
        Ok(())
    }

    async fn reserved(
        &self,
        event: &Recorded<StockReserved>,
        tx: &PostgresTransaction<'_>,
    ) -> Result<(), ProjectionError> {
        let table = &self.table;
        let upsert = format!(
            "INSERT INTO {table} VALUES ($1, $2) ON CONFLICT (product) DO UPDATE SET reserved = {table}.reserved + $2"
        );
        tx.execute(&upsert, &[&event.aggregate_id(), &i64::from(event.quantity)]).await?;
        Ok(())
    }
}

pub struct Inventory {
    store: PostgresStore,
    stock: Repository<Stock, PostgresStore>,
    subscription: Subscription,
    projections: Projections,
}

impl Inventory {
    pub async fn open(places: &Places) -> Outcome<Self> {
        let store = places.store("inventory").await?;
        let stock = Repository::<Stock, _>::new(store.clone());
        let commands = CommandBus::builder().aggregate(stock.clone()).build();
        let handler = move |received: Received| reserve(commands.clone(), received);
        let orders = places.bus().await?.subscribe("inventory").event::<OrderPlaced>();
        let subscription = orders.handle(handler).await?;
        let levels = StockLevels { table: format!("inventory_{}.levels", places.run) };
        let projections = ProjectionRunner::new(store.clone()).projection(levels).spawn();
        Ok(Self { store, stock, subscription, projections })
    }

    /// Waits until so many messages are handled, and the read model has their results.
    pub async fn handled(&self, messages: u64) -> Outcome {
        while self.subscription.tally().acknowledged < messages {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let head = self.store.head().await?;
        self.projections.wait_for(head).await?;
        Ok(())
    }

    pub async fn reserved(&self, product: &str) -> Outcome<u32> {
        Ok(self.stock.load(&product.to_owned()).await?.state.reserved)
    }

    pub async fn close(self) -> Outcome {
        self.subscription.shutdown().await?;
        self.projections.shutdown().await?;
        Ok(())
    }
}

/// Handles a message: however often it is delivered, the command is the same.
async fn reserve(commands: CommandBus, received: Received) -> Result<(), HandlerError> {
    let placed = received.decode::<OrderPlaced>()?;
    let context = Context { command_id: received.command_id("inventory"), ..Context::default() };
    commands
        .dispatch_with(ReserveStock { product: placed.product.clone(), quantity: placed.quantity }, context)
        .await?;
    Ok(())
}

// ---- The program ----

const ORDERS: [(&str, u32); 3] = [("keyboard", 2), ("screen", 1), ("keyboard", 1)];

#[tokio::main]
async fn main() -> Outcome {
    let missing = |name| move |_| format!("set {name}, or run this as its first lines say");
    let places = Places {
        postgres: env::var("EVENTSOURCE_POSTGRES_URL").map_err(missing("EVENTSOURCE_POSTGRES_URL"))?,
        kafka: env::var("EVENTSOURCE_KAFKA_URL").map_err(missing("EVENTSOURCE_KAFKA_URL"))?,
        run: env::args().nth(2).unwrap_or_else(|| Uuid::now_v7().simple().to_string()),
    };
    if env::args().nth(1).as_deref() == Some("inventory") { inventory(places).await } else { orders(places).await }
}

async fn orders(places: Places) -> Outcome {
    let telemetry = Telemetry::from_env("orders").console_without_endpoint().install()?;
    let service = Orders::open(&places).await?;
    for (product, quantity) in ORDERS {
        service.place(product, quantity).await?;
    }
    service.close().await?;
    telemetry.shutdown().await?;
    let mut inventory = tokio::process::Command::new(env::current_exe()?);
    inventory.args(["inventory", &places.run]).stdin(Stdio::null()).kill_on_drop(true);
    let ended = inventory.status().await?;
    if ended.success() { Ok(()) } else { Err("the inventory failed; see above".into()) }
}

async fn inventory(places: Places) -> Outcome {
    let telemetry = Telemetry::from_env("inventory").console_without_endpoint().install()?;
    let service = Inventory::open(&places).await?;
    service.handled(ORDERS.len() as u64).await?;
    let keyboards = service.reserved("keyboard").await?;
    service.close().await?;
    telemetry.shutdown().await?;
    println!("reserved keyboards: {keyboards}");
    Ok(())
}
