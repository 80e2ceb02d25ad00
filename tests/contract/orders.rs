//! What a user writes: the public face of the crates, as one program. It is run as a test, and is the domain of the
//! other tests.

#![expect(missing_docs, missing_debug_implementations, reason = "an application's own types")]

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteReader, SqliteStore, SqliteTransaction};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

// ---- Events: plain structs. The stored name and schema version are explicit or frozen. ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub customer: String,
    pub lines: Vec<OrderLine>,
    pub shipping_address: String,
}

/// Version 1 had no carrier; `from_v1` turns a stored v1 payload into today's.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[event(name = "OrderShipped", version = 2, upcast(1 => from_v1))]
pub struct OrderShipped {
    #[event(attribute = "order.carrier")] // named, therefore recorded on spans; nothing else is
    pub carrier: String,
    pub tracking: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    pub reason: String,
}

fn from_v1(mut payload: serde_json::Value) -> Result<serde_json::Value, UpcastError> {
    payload
        .as_object_mut()
        .ok_or_else(|| UpcastError::new("a shipped order is an object"))?
        .insert("carrier".into(), "unknown".into());
    Ok(payload)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    pub product: String,
    pub quantity: u32,
}

// ---- The aggregate: the derive generates `enum OrderEvent`, its codec, and event application. ----

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    id = Uuid,
    error = OrderError,
    events(OrderPlaced, OrderShipped, OrderCancelled),
    snapshot(every = 100)
)]
pub struct Order {
    status: Status,
    lines: Vec<OrderLine>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Status {
    #[default]
    New,
    Placed,
    Shipped,
    Cancelled,
}

// One small function an event. Leaving one out is a compile error that names the event.
impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, event: OrderPlaced) {
        self.status = Status::Placed;
        self.lines = event.lines;
    }
}
impl Apply<OrderShipped> for Order {
    fn apply(&mut self, _: OrderShipped) {
        self.status = Status::Shipped;
    }
}
impl Apply<OrderCancelled> for Order {
    fn apply(&mut self, _: OrderCancelled) {
        self.status = Status::Cancelled;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    #[error("an order needs at least one line")]
    Empty,
    #[error("the order is {0}")]
    WrongStatus(&'static str),
}

// ---- Commands ----

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct PlaceOrder {
    #[command(id)]
    pub order_id: Uuid,
    #[command(attribute = "command.user_id")]
    pub user_id: String,
    pub customer: String,
    pub lines: Vec<OrderLine>,
    pub shipping_address: String,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct ShipOrder {
    #[command(id)]
    pub order_id: Uuid,
    pub carrier: String,
    pub tracking: String,
}

// Each method whose argument is a command becomes that command's handler, in a `handle_command` span.
// It decides and returns events: one, an Option, a Vec, an array or a tuple of different events.
#[command_handler]
impl Order {
    #[traced(attributes("order.line_count" = command.lines.len()))]
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> {
        if command.lines.is_empty() {
            return Err(OrderError::Empty);
        }
        if self.status != Status::New {
            return Err(OrderError::WrongStatus("already placed"));
        }
        Ok(OrderPlaced { customer: command.customer, lines: command.lines, shipping_address: command.shipping_address })
    }

    async fn ship(&self, command: ShipOrder) -> Result<OrderShipped, OrderError> {
        match self.status {
            Status::Placed => Ok(OrderShipped { carrier: command.carrier, tracking: command.tracking }),
            _ => Err(OrderError::WrongStatus("not waiting to be shipped")),
        }
    }
}

// ---- A projection: one method an event, inside the transaction that also holds the checkpoint. ----
// On SQLite the methods are plain functions (the batch runs on the writer thread); on PostgreSQL they are async.

pub struct OrderReadModel;

#[projection(name = "OrderReadModel", enable_tracing = true)] // spans of projections are off unless asked for
impl OrderReadModel {
    /// Runs once, in a transaction of its own, before the first event.
    #[projection(setup)]
    fn create_tables(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch(
            "CREATE TABLE order_views (order_id TEXT PRIMARY KEY, status TEXT NOT NULL, customer TEXT NOT NULL)",
        )?;
        Ok(())
    }

    /// Empties the read model when it is rebuilt from the first event.
    #[projection(reset)]
    fn clear(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("DELETE FROM order_views")?;
        Ok(())
    }

    #[traced("projection.insert_read_model", attributes("projection.action" = "create"))]
    fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute(
            "INSERT INTO order_views (order_id, status, customer) VALUES (?1, 'placed', ?2)",
            (event.aggregate_id(), &event.customer),
        )?;
        Ok(())
    }

    #[traced("projection.update_read_model", attributes("projection.action" = "update"))]
    fn shipped(&self, event: &Recorded<OrderShipped>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("UPDATE order_views SET status = 'shipped' WHERE order_id = ?1", [event.aggregate_id()])?;
        Ok(())
    }
}

// ---- A query ----

#[derive(Query, Clone, Debug, Serialize, Deserialize)]
#[query(output = Vec<OrderView>)]
pub struct OrdersByStatus {
    pub status: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct OrderView {
    pub order_id: String,
    pub status: String,
    pub customer: String,
}

pub struct OrderQueries {
    db: SqliteReader,
}

impl OrderQueries {
    #[must_use]
    pub fn new(db: SqliteReader) -> Self {
        Self { db }
    }
}

#[query_handler]
impl OrderQueries {
    async fn by_status(&self, query: OrdersByStatus) -> Result<Vec<OrderView>, StoreError> {
        self.db
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT order_id, status, customer FROM order_views WHERE status = ?1")?
                    .query_map([query.status], |row| {
                        Ok(OrderView { order_id: row.get(0)?, status: row.get(1)?, customer: row.get(2)? })
                    })?
                    .collect()
            })
            .await
    }
}

// ---- Any other component: `#[traced]`, with its own toggle ----

pub struct NotificationService {
    enable_tracing: bool,
}

impl NotificationService {
    #[must_use]
    pub fn new(enable_tracing: bool) -> Self {
        Self { enable_tracing }
    }

    #[traced(
        "notification_service.send_email",
        kind = "client",
        enable_tracing = self.enable_tracing,
        attributes("channel" = "email", "recipient.domain" = recipient.rsplit('@').next(), "message.length" = message.len())
    )]
    pub async fn send_email(&self, recipient: &str, message: &str) -> Result<(), std::io::Error> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // OTLP where OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise, because we ask for it here, the trace tree on stderr.
    let telemetry = Telemetry::from_env("orders").console_without_endpoint().install()?;

    let store = SqliteStore::open(std::env::temp_dir().join(format!("orders-{}.db", Uuid::now_v7()))).await?;
    let commands = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();

    let order_id = Uuid::now_v7();
    let committed = commands
        .dispatch(PlaceOrder {
            order_id,
            user_id: "user-7".into(),
            customer: "Ada".into(),
            lines: vec![OrderLine { product: "Keyboard".into(), quantity: 1 }],
            shipping_address: "1 Analytical Row".into(),
        })
        .await?;
    assert_eq!(committed.version, 1);

    projections.wait_for(committed.position).await?; // read your own write
    let queries = QueryBus::builder().handler(OrderQueries { db: store.reader() }).build();
    let placed = queries.execute(OrdersByStatus { status: "placed".into() }).await?;
    assert_eq!(placed.len(), 1);

    projections.shutdown().await?;
    telemetry.shutdown().await?; // flushes
    Ok(())
}
