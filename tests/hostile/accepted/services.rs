//! Services whose type is known from the handlers alone, and buses that are generic over the aggregate.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotStore;
use eventsource_runtime::store::EventStore;
use eventsource_runtime::testing::given;
use eventsource_runtime::Handlers;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed {
    cents: u64,
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Order)]
struct Place(#[command(id)] u64);

#[derive(Default)]
struct Prices {
    cents: u64,
}

#[command_handler]
impl Order {
    fn place(&self, _: Place, prices: &Prices) -> Result<Placed, Infallible> {
        Ok(Placed { cents: prices.cents })
    }
}

fn with<A: Handlers, S: EventStore + SnapshotStore>(repository: Repository<A, S, A::Services>) -> CommandBus {
    CommandBus::builder().aggregate(repository).build()
}

fn of<A: Handlers<Services = V>, S: EventStore + SnapshotStore, V>(repository: Repository<A, S, V>) -> CommandBus {
    CommandBus::builder().aggregate(repository).build()
}

fn without<A: Handlers<Services = ()>>(store: MemoryStore) -> CommandBus {
    CommandBus::builder().aggregate(Repository::<A, _>::new(store)).build()
}

pub(super) fn main() {
    let _ = without::<Plain>;
    let orders = || Repository::<Order, _>::new(MemoryStore::new());
    let buses = [
        with(orders().with_services(Prices::default())),
        of(orders().with_services(Prices::default())),
        CommandBus::builder().aggregate(orders().with_services(Default::default())).build(),
    ];
    for bus in buses {
        assert!(format!("{bus:?}").contains("Place"));
    }
    given::<Order>(()).with_services(Prices { cents: 3 }).when(Place(1)).then(Placed { cents: 3 });
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Plain;

impl Apply<Placed> for Plain {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Plain)]
struct PlacePlainly(#[command(id)] u64);

#[command_handler]
impl Plain {
    fn place(&self, _: PlacePlainly) -> Result<Placed, Infallible> {
        Ok(Placed { cents: 0 })
    }
}
