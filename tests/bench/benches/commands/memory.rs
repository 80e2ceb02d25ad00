//! Commands in memory: the hand-written loop over a map, and cqrs-es.

use std::collections::HashMap;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::mem_store::MemStore;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent};
use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, OrderEvent, Refused, apply, decode, encode, ids};
use eventsource_bench::raw::stream;
use eventsource_bench::sample::timed;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// A map from streams to encoded events: each command decodes the stream's events and encodes one more.
pub(crate) fn by_hand(orders: usize) -> (u64, Duration) {
    let orders = ids(orders);
    let mut streams: HashMap<String, Vec<(&'static str, Vec<u8>)>> = HashMap::new();
    let ((), elapsed) = timed(|| {
        for ordinal in 0..COMMANDS {
            for &order in &orders {
                let events = streams.entry(stream(order)).or_default();
                let mut state = Order::default();
                for (event_type, payload) in &*events {
                    apply(&mut state, decode(event_type, payload));
                }
                let event = AnyCommand::nth(ordinal).decide(&state).expect("the commands come in order");
                assert_eq!(events.len(), ordinal, "nobody else appended");
                events.push(encode(&event));
            }
        }
    });
    ((orders.len() * COMMANDS) as u64, elapsed)
}

/// The order as cqrs-es wants it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PeerOrder(Order);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum PeerEvent {
    Placed(eventsource_bench::orders::OrderPlaced),
    Added(eventsource_bench::orders::ItemAdded),
    Noted(eventsource_bench::orders::NoteTaken),
}

impl DomainEvent for PeerEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Placed(_) => "OrderPlaced",
            Self::Added(_) => "ItemAdded",
            Self::Noted(_) => "NoteTaken",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for PeerOrder {
    const TYPE: &'static str = "Order";
    type Command = AnyCommand;
    type Event = PeerEvent;
    type Error = Refused;
    type Services = ();

    async fn handle(&mut self, command: AnyCommand, (): &(), sink: &EventSink<Self>) -> Result<(), Refused> {
        let event = match command.decide(&self.0)? {
            OrderEvent::OrderPlaced(event) => PeerEvent::Placed(event),
            OrderEvent::ItemAdded(event) => PeerEvent::Added(event),
            OrderEvent::NoteTaken(event) => PeerEvent::Noted(event),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: PeerEvent) {
        let event = match event {
            PeerEvent::Placed(event) => event.into(),
            PeerEvent::Added(event) => event.into(),
            PeerEvent::Noted(event) => event.into(),
        };
        apply(&mut self.0, event);
    }
}

/// cqrs-es over its store in memory, which neither encodes nor decodes.
pub(crate) fn cqrs_es(runtime: &Runtime, orders: usize) -> (u64, Duration) {
    let orders: Vec<String> = ids(orders).into_iter().map(|order| order.to_string()).collect();
    let framework = CqrsFramework::<PeerOrder, _>::new(MemStore::default(), Vec::new(), ());
    let ((), elapsed) = timed(|| {
        runtime.block_on(async {
            for ordinal in 0..COMMANDS {
                for order in &orders {
                    framework.execute(order, AnyCommand::nth(ordinal)).await.expect("the commands come in order");
                }
            }
        });
    });
    ((orders.len() * COMMANDS) as u64, elapsed)
}
