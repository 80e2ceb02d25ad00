//! Orders that are paid and shipped by a process manager: one goes through, one is refused by the bank, one has an
//! undeliverable address and is refunded, and one is never paid and times out.
//!
//! ```text
//! cargo run -p eventsource-examples --example shipping
//! ```
//!
//! Every step is traced: each reaction begins its own trace that links to the event it reacts to, and the commands are
//! its children. All events of an order share a correlation id; the program ends with each order's story.
//!
//! It is longer than a file should be because it is one program, to be read from top to bottom.

#![allow(missing_docs, missing_debug_implementations, reason = "an application's own types")]

use std::collections::HashMap;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, SqliteStore};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

// ---- Orders ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    pub customer: String,
    pub cents: u64,
    pub address: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderDone {
    pub tracking: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderCancelled {
    #[event(attribute = "order.cancelled.reason")]
    pub reason: String,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq)]
#[aggregate(id = Uuid, error = OrderError, events(OrderPlaced, OrderDone, OrderCancelled))]
pub struct Order {
    pub status: OrderStatus,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum OrderStatus {
    #[default]
    New,
    Placed,
    Done,
    Cancelled(String),
}

impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, _: OrderPlaced) {
        self.status = OrderStatus::Placed;
    }
}
impl Apply<OrderDone> for Order {
    fn apply(&mut self, _: OrderDone) {
        self.status = OrderStatus::Done;
    }
}
impl Apply<OrderCancelled> for Order {
    fn apply(&mut self, event: OrderCancelled) {
        self.status = OrderStatus::Cancelled(event.reason);
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    #[error("the order is {0:?}")]
    WrongStatus(OrderStatus),
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct PlaceOrder {
    #[command(id)]
    pub order_id: Uuid,
    pub customer: String,
    pub cents: u64,
    pub address: String,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct FinishOrder {
    #[command(id)]
    pub order_id: Uuid,
    pub tracking: String,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct CancelOrder {
    #[command(id)]
    pub order_id: Uuid,
    pub reason: String,
}

#[command_handler]
impl Order {
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> {
        self.must_be(&OrderStatus::New)?;
        Ok(OrderPlaced { customer: command.customer, cents: command.cents, address: command.address })
    }

    fn finish(&self, command: FinishOrder) -> Result<OrderDone, OrderError> {
        self.must_be(&OrderStatus::Placed)?;
        Ok(OrderDone { tracking: command.tracking })
    }

    fn cancel(&self, command: CancelOrder) -> Result<OrderCancelled, OrderError> {
        self.must_be(&OrderStatus::Placed)?;
        Ok(OrderCancelled { reason: command.reason })
    }
}

impl Order {
    fn must_be(&self, status: &OrderStatus) -> Result<(), OrderError> {
        if self.status == *status { Ok(()) } else { Err(OrderError::WrongStatus(self.status.clone())) }
    }
}

// ---- Payments: asked for, and settled by a bank in its own time ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentAsked {
    pub cents: u64,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentTaken {
    pub cents: u64,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    pub cents: u64,
}

/// The money held from a customer for one order.
#[derive(Aggregate, Clone, Debug, Default, PartialEq)]
#[aggregate(id = Uuid, error = PaymentError, events(PaymentAsked, PaymentTaken, PaymentRefunded))]
pub struct Payment {
    pub asked: u64,
    pub taken: u64,
}

impl Apply<PaymentAsked> for Payment {
    fn apply(&mut self, event: PaymentAsked) {
        self.asked += event.cents;
    }
}
impl Apply<PaymentTaken> for Payment {
    fn apply(&mut self, event: PaymentTaken) {
        self.taken += event.cents;
    }
}
impl Apply<PaymentRefunded> for Payment {
    fn apply(&mut self, event: PaymentRefunded) {
        self.taken -= event.cents;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PaymentError {
    #[error("the bank gives no credit")]
    NoCredit,
    #[error("there is nothing of that kind to do")]
    Nothing,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Payment)]
pub struct AskPayment {
    #[command(id)]
    pub order_id: Uuid,
    pub customer: String,
    pub cents: u64,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Payment)]
pub struct SettlePayment {
    #[command(id)]
    pub order_id: Uuid,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Payment)]
pub struct RefundPayment {
    #[command(id)]
    pub order_id: Uuid,
}

#[command_handler]
impl Payment {
    fn ask(&self, command: AskPayment) -> Result<PaymentAsked, PaymentError> {
        if command.customer == "Mallory" {
            Err(PaymentError::NoCredit)
        } else {
            Ok(PaymentAsked { cents: command.cents })
        }
    }

    fn settle(&self, _: SettlePayment) -> Result<PaymentTaken, PaymentError> {
        if self.asked > self.taken { Ok(PaymentTaken { cents: self.asked }) } else { Err(PaymentError::Nothing) }
    }

    fn refund(&self, _: RefundPayment) -> Result<PaymentRefunded, PaymentError> {
        if self.taken > 0 { Ok(PaymentRefunded { cents: self.taken }) } else { Err(PaymentError::Nothing) }
    }
}

// ---- Parcels ----

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParcelSent {
    pub order_id: Uuid,
    pub tracking: String,
}

#[derive(Aggregate, Clone, Debug, Default)]
#[aggregate(id = String, error = ParcelError, events(ParcelSent))]
pub struct Parcel;

impl Apply<ParcelSent> for Parcel {
    fn apply(&mut self, _: ParcelSent) {}
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ParcelError {
    #[error("no parcel goes there")]
    Unreachable,
}

#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Parcel)]
pub struct SendParcel {
    #[command(id)]
    pub parcel: String,
    pub order_id: Uuid,
    pub address: String,
}

#[command_handler]
impl Parcel {
    fn send(&self, command: SendParcel) -> Result<ParcelSent, ParcelError> {
        if command.address == "the Moon" {
            return Err(ParcelError::Unreachable);
        }
        Ok(ParcelSent { order_id: command.order_id, tracking: format!("T-{}", command.parcel) })
    }
}

// ---- The process: one for each order ----

/// How long a customer may take to pay.
pub const TIME_TO_PAY: Duration = Duration::from_secs(2);

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippingBegun {
    pub address: String,
}

#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippingPaid {}

/// Recorded when the time is up, whether or not the order was paid.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeToPayOver {}

/// What the manager remembers of one order: an aggregate like any other, whose events the manager's own methods record.
#[derive(Aggregate, Clone, Debug, Default, PartialEq)]
#[aggregate(id = Uuid, events(ShippingBegun, ShippingPaid, TimeToPayOver))]
pub struct Shipping {
    pub address: String,
    pub is_paid: bool,
    pub overdue: u32,
}

impl Apply<ShippingBegun> for Shipping {
    fn apply(&mut self, event: ShippingBegun) {
        self.address = event.address;
    }
}
impl Apply<ShippingPaid> for Shipping {
    fn apply(&mut self, _: ShippingPaid) {
        self.is_paid = true;
    }
}
impl Apply<TimeToPayOver> for Shipping {
    fn apply(&mut self, _: TimeToPayOver) {
        self.overdue += 1;
    }
}

#[process_manager]
impl Shipping {
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Result<Reaction<Self>, uuid::Error> {
        let order_id = event.aggregate_id().parse()?;
        let (customer, cents) = (event.customer.clone(), event.cents);
        Ok(Reaction::new()
            .record(ShippingBegun { address: event.address.clone() })
            .dispatch(AskPayment { order_id, customer, cents })
            .record_after(TIME_TO_PAY, TimeToPayOver {}))
    }

    /// Compensation: an order that the bank refuses is not shipped.
    fn not_paid(&self, refused: &Rejected<AskPayment>) -> CancelOrder {
        CancelOrder { order_id: refused.order_id, reason: refused.error_type().to_owned() }
    }

    fn paid(&self, event: &Recorded<PaymentTaken>) -> Result<Reaction<Self>, uuid::Error> {
        let order_id: Uuid = event.aggregate_id().parse()?;
        let send = SendParcel { parcel: order_id.simple().to_string(), order_id, address: self.address.clone() };
        Ok(Reaction::new().record(ShippingPaid {}).dispatch(send))
    }

    /// Compensation for the earlier steps: the money is refunded, then the order is cancelled.
    fn not_sent(&self, refused: &Rejected<SendParcel>) -> Reaction<Self> {
        let order_id = refused.order_id;
        Reaction::new()
            .dispatch(RefundPayment { order_id })
            .dispatch(CancelOrder { order_id, reason: refused.error_type().to_owned() })
    }

    #[process_manager(id = event.order_id)] // a parcel has an id of its own
    fn sent(&self, event: &Recorded<ParcelSent>) -> FinishOrder {
        FinishOrder { order_id: event.order_id, tracking: event.tracking.clone() }
    }

    fn time_is_up(&self, event: &Recorded<TimeToPayOver>) -> Result<Option<CancelOrder>, uuid::Error> {
        let order_id = event.aggregate_id().parse()?;
        Ok((!self.is_paid).then(|| CancelOrder { order_id, reason: "NotPaidInTime".to_owned() }))
    }
}

/// A bus for all commands of this program.
pub fn commands<S: EventStore + SnapshotStore>(store: &S) -> CommandBus {
    CommandBus::builder()
        .aggregate(Repository::<Order, _>::new(store.clone()))
        .aggregate(Repository::<Payment, _>::new(store.clone()))
        .aggregate(Repository::<Parcel, _>::new(store.clone()))
        .build()
}

// ---- The program ----

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::from_env("shipping").console_without_endpoint().install()?;
    let store = SqliteStore::open(":memory:").await?;
    let commands = commands(&store);
    let managers = ProcessManagerRunner::new(store.clone(), commands.clone()).process_manager::<Shipping>().spawn();

    let places =
        [("Ada", "1 Analytical Row"), ("Mallory", "9 Back Street"), ("Neil", "the Moon"), ("Grace", "Navy Yard")];
    let mut orders = Vec::new();
    for (customer, address) in places {
        let (order_id, customer, address) = (Uuid::now_v7(), customer.to_owned(), address.to_owned());
        let order = PlaceOrder { order_id, customer: customer.clone(), cents: 4200, address };
        let committed = commands.dispatch(order).await?;
        managers.wait_for(committed.position).await?;
        let belonging = Context { correlation_id: Some(committed.command_id), ..Context::default() };
        // The bank: it refuses payments that were never asked for, and lets Grace think about it.
        if customer != "Grace"
            && let Ok(settled) = commands.dispatch_with(SettlePayment { order_id }, belonging).await
        {
            managers.wait_for(settled.position).await?;
        }
        orders.push((customer, order_id));
    }
    let all = Repository::<Order, _>::new(store.clone()).enable_tracing(false);
    let grace = orders.last().map(|(_, order_id)| *order_id).unwrap_or_default();
    while all.load(&grace).await?.state.status == OrderStatus::Placed {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    managers.shutdown().await?;
    telemetry.shutdown().await?;
    for (customer, order_id) in orders {
        println!("\n{customer}: {:?}", all.load(&order_id).await?.state.status);
        tell(&store, order_id).await?;
    }
    Ok(())
}

/// All events that placing an order led to, and the cause of each.
async fn tell(store: &SqliteStore, order_id: Uuid) -> Result<(), StoreError> {
    let quiet = store.clone().enable_tracing(false);
    let first = quiet.load(&StreamId::of::<Order>(&order_id), Version::START).next().await?;
    let Some(correlation_id) = first.and_then(|event| event.correlation_id) else { return Ok(()) };
    let mut feed = quiet.feed(Position::START, Filter::all());
    let mut known = HashMap::new();
    while let Some(event) = feed.next().await? {
        known.insert(event.id, event.position);
        if event.correlation_id == Some(correlation_id) {
            // The command between two events is named by the first of them; a command from outside by none.
            let cause =
                event.metadata.get("process_manager.cause").and_then(|id| id.parse().ok()).or(event.causation_id);
            let cause = cause.and_then(|id: Uuid| known.get(&id)).map(|position| format!("because of {position}"));
            let (position, of, name) = (event.position, event.stream.aggregate_type(), &event.event_type);
            println!("  {position:>3}  {of:<9} {name:<26} {}", cause.unwrap_or_default());
        }
    }
    Ok(())
}
