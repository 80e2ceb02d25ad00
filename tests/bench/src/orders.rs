//! The domain of `commands` and `replay`: an order of three kinds of events, each 171 to 180 bytes of JSON, and the ten
//! commands that each order gets. Ours, the floors and the peer share it.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order was placed.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// Who placed it.
    pub customer: String,
    /// Where it goes.
    pub address: String,
    /// What the customer wrote.
    pub note: String,
}

/// An item was added.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// What it is.
    pub product: String,
    /// How it is described.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// What one costs.
    pub cents: u64,
}

/// A note was taken.
#[derive(Event, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoteTaken {
    /// Who took it.
    pub author: String,
    /// What it says.
    pub text: String,
}

/// An order: the state that all of them fold.
#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(id = Uuid, error = Refused, events(OrderPlaced, ItemAdded, NoteTaken))]
pub struct Order {
    placed: bool,
    items: u64,
    cents: u64,
    notes: u64,
}

impl Apply<OrderPlaced> for Order {
    fn apply(&mut self, _: OrderPlaced) {
        self.placed = true;
    }
}

impl Apply<ItemAdded> for Order {
    fn apply(&mut self, event: ItemAdded) {
        self.items += u64::from(event.quantity);
        self.cents += event.cents * u64::from(event.quantity);
    }
}

impl Apply<NoteTaken> for Order {
    fn apply(&mut self, _: NoteTaken) {
        self.notes += 1;
    }
}

/// The order is placed already, or not yet.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the order is placed already, or not yet")]
pub struct Refused;

/// Places an order.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct PlaceOrder {
    /// The order.
    #[command(id)]
    pub order: Uuid,
    /// What is decided.
    pub placed: OrderPlaced,
}

/// Adds an item.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct AddItem {
    /// The order.
    #[command(id)]
    pub order: Uuid,
    /// What is decided.
    pub added: ItemAdded,
}

/// Takes a note.
#[derive(Command, Clone, Debug, Serialize, Deserialize)]
#[command(aggregate = Order)]
pub struct TakeNote {
    /// The order.
    #[command(id)]
    pub order: Uuid,
    /// What is decided.
    pub taken: NoteTaken,
}

#[command_handler]
impl Order {
    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, Refused> {
        if self.placed { Err(Refused) } else { Ok(command.placed) }
    }

    fn add(&self, command: AddItem) -> Result<ItemAdded, Refused> {
        if self.placed { Ok(command.added) } else { Err(Refused) }
    }

    fn note(&self, command: TakeNote) -> Result<NoteTaken, Refused> {
        if self.placed { Ok(command.taken) } else { Err(Refused) }
    }
}

/// How many commands each order gets.
pub const COMMANDS: usize = 10;

/// Any of the commands, for those who have no bus.
#[derive(Clone, Debug)]
pub enum AnyCommand {
    /// Places an order.
    Place(OrderPlaced),
    /// Adds an item.
    Add(ItemAdded),
    /// Takes a note.
    Note(NoteTaken),
}

impl AnyCommand {
    /// The command that an order gets as its `ordinal`-th, from 0.
    #[must_use]
    pub fn nth(ordinal: usize) -> Self {
        match ordinal {
            0 => Self::Place(OrderPlaced {
                customer: "Ada Lovelace".to_owned(),
                address: "12 Analytical Row, Marylebone, London W1G 9SY, United Kingdom".to_owned(),
                note: "Please leave it with the neighbours at number fourteen, please.".to_owned(),
            }),
            ordinal if ordinal % 3 == 0 => Self::Note(NoteTaken {
                author: "support".to_owned(),
                text: "The customer called and asked whether the parcel could be sent a day later than agreed, since \
                       nobody will be at home on Tuesday this week."
                    .to_owned(),
            }),
            ordinal => Self::Add(ItemAdded {
                product: "keyboard-87-iso".to_owned(),
                description: "A keyboard with eighty-seven keys, brown switches and a long, braided cable".to_owned(),
                quantity: 2,
                cents: 11_900 + ordinal as u64,
            }),
        }
    }

    /// Has it handled for an order that has handled those before it.
    ///
    /// # Panics
    /// It is refused, or the store fails.
    pub async fn dispatch(self, bus: &CommandBus, order: Uuid) -> Committed {
        let committed = match self {
            Self::Place(placed) => bus.dispatch(PlaceOrder { order, placed }).await,
            Self::Add(added) => bus.dispatch(AddItem { order, added }).await,
            Self::Note(taken) => bus.dispatch(TakeNote { order, taken }).await,
        };
        committed.expect("the commands come in order")
    }

    /// What an order decides about it.
    ///
    /// # Errors
    /// The order refuses.
    pub fn decide(self, order: &Order) -> Result<OrderEvent, Refused> {
        match self {
            Self::Place(event) if !order.placed => Ok(event.into()),
            Self::Add(event) if order.placed => Ok(event.into()),
            Self::Note(event) if order.placed => Ok(event.into()),
            _ => Err(Refused),
        }
    }
}

/// Reads an event by hand.
///
/// # Panics
/// It is none of the three.
#[must_use]
pub fn decode(event_type: &str, payload: &[u8]) -> OrderEvent {
    let decoded = match event_type {
        "OrderPlaced" => serde_json::from_slice(payload).map(OrderEvent::OrderPlaced),
        "ItemAdded" => serde_json::from_slice(payload).map(OrderEvent::ItemAdded),
        "NoteTaken" => serde_json::from_slice(payload).map(OrderEvent::NoteTaken),
        other => unreachable!("{other} is never written"),
    };
    decoded.expect("written by `encode`")
}

/// Writes an event by hand, with its name.
///
/// # Panics
/// Never: the events are plain structs.
#[must_use]
pub fn encode(event: &OrderEvent) -> (&'static str, Vec<u8>) {
    let (name, payload) = match event {
        OrderEvent::OrderPlaced(event) => ("OrderPlaced", serde_json::to_vec(event)),
        OrderEvent::ItemAdded(event) => ("ItemAdded", serde_json::to_vec(event)),
        OrderEvent::NoteTaken(event) => ("NoteTaken", serde_json::to_vec(event)),
    };
    (name, payload.expect("plain structs"))
}

/// Applies an event by hand.
pub fn apply(order: &mut Order, event: OrderEvent) {
    match event {
        OrderEvent::OrderPlaced(event) => order.apply(event),
        OrderEvent::ItemAdded(event) => order.apply(event),
        OrderEvent::NoteTaken(event) => order.apply(event),
    }
}

/// Ids of so many orders.
#[must_use]
pub fn ids(orders: usize) -> Vec<Uuid> {
    std::iter::repeat_with(Uuid::now_v7).take(orders).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_as_long_as_they_are_said_to_be() {
        let placed = Order { placed: true, ..Order::default() };
        for ordinal in 0..COMMANDS {
            let order = if ordinal == 0 { Order::default() } else { placed.clone() };
            let (name, payload) = encode(&AnyCommand::nth(ordinal).decide(&order).unwrap());
            assert!((171..=180).contains(&payload.len()), "{name}: {}", payload.len());
            assert_eq!(encode(&decode(name, &payload)), (name, payload));
        }
    }
}
