//! A fully traced shopping cart: the solution to the tutorial's exercise (`eventsource-runtime/docs/tutorial.md`).

use std::collections::BTreeMap;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::names;
use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Event, Serialize, Deserialize)]
struct ItemAdded {
    product: String,
    quantity: u32,
}

#[derive(Event, Serialize, Deserialize)]
struct ItemRemoved {
    product: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = CartError, events(ItemAdded, ItemRemoved))]
struct Cart {
    items: BTreeMap<String, u32>,
}

impl Apply<ItemAdded> for Cart {
    fn apply(&mut self, event: ItemAdded) {
        *self.items.entry(event.product).or_default() += event.quantity;
    }
}

impl Apply<ItemRemoved> for Cart {
    fn apply(&mut self, event: ItemRemoved) {
        self.items.remove(&event.product);
    }
}

#[derive(Debug, thiserror::Error)]
enum CartError {
    #[error("there is no such product in the cart")]
    NotThere,
    #[error("a cart holds one to a thousand of a product")]
    Quantity,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Cart)]
struct AddItem {
    #[command(id)]
    cart: String,
    #[command(attribute = "product.name")]
    product: String,
    #[command(attribute = "product.quantity")]
    quantity: u32,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Cart)]
struct RemoveItem {
    #[command(id)]
    cart: String,
    #[command(attribute = "product.name")]
    product: String,
}

#[command_handler]
impl Cart {
    fn add(&self, command: AddItem) -> Result<ItemAdded, CartError> {
        let there = self.items.get(&command.product).copied().unwrap_or(0);
        if !(1..=1000).contains(&command.quantity) || there + command.quantity > 1000 {
            return Err(CartError::Quantity);
        }
        Ok(ItemAdded { product: command.product, quantity: command.quantity })
    }

    fn remove(&self, command: RemoveItem) -> Result<ItemRemoved, CartError> {
        if !self.items.contains_key(&command.product) {
            return Err(CartError::NotThere);
        }
        Ok(ItemRemoved { product: command.product })
    }
}

struct CartService {
    commands: CommandBus,
    carts: Repository<Cart, MemoryStore>,
}

impl CartService {
    #[traced(attributes(eventsource.aggregate.id = cart, "product.name" = product, "product.quantity" = quantity))]
    async fn add_to_cart(&self, cart: &str, product: &str, quantity: u32) -> Result<(), Failure> {
        let added = AddItem { cart: cart.into(), product: product.into(), quantity };
        let committed = self.commands.dispatch(added).await?;
        current_span().record(names::ATTR_EVENT_COUNT, committed.events);
        Ok(())
    }

    #[traced(attributes(eventsource.aggregate.id = cart, "product.name" = product))]
    async fn remove_from_cart(&self, cart: &str, product: &str) -> Result<(), Failure> {
        self.commands.dispatch(RemoveItem { cart: cart.into(), product: product.into() }).await?;
        Ok(())
    }

    #[traced(
        attributes(eventsource.aggregate.id = cart),
        record("cart.products" = result.as_ref().map(BTreeMap::len).ok())
    )]
    async fn get_cart(&self, cart: &str) -> Result<BTreeMap<String, u32>, Failure> {
        Ok(self.carts.load(&cart.to_owned()).await?.state.items)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let telemetry = Telemetry::from_env("cart").console_without_endpoint().install()?;
    let carts = Repository::<Cart, _>::new(MemoryStore::new());
    let commands = CommandBus::builder().aggregate(carts.clone()).build();
    let service = CartService { commands, carts };

    service.add_to_cart("cart-1", "Laptop", 1).await?;
    service.add_to_cart("cart-1", "Mouse", 2).await?;
    service.add_to_cart("cart-1", "Keyboard", 1).await?;
    service.remove_from_cart("cart-1", "Laptop").await?;
    if let Err(refused) = service.remove_from_cart("cart-1", "Laptop").await {
        println!("refused: {refused}");
    }

    let items = service.get_cart("cart-1").await?;
    println!("cart: {items:?}");
    println!("items: {}", items.values().sum::<u32>());
    Ok(telemetry.shutdown().await?) // exports what is left
}
