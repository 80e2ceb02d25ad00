//! Commands in memory: the hand-written loop over a map, and cqrs-es.

use std::collections::HashMap;
use std::time::Duration;

use cqrs_es::CqrsFramework;
use cqrs_es::mem_store::MemStore;
use eventsource_bench::cqrs::PeerOrder;
use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, apply, decode, encode, ids};
use eventsource_bench::raw::stream;
use eventsource_bench::sample::timed;
use tokio::runtime::Runtime;

/// Streams and their events.
type Streams = HashMap<String, Vec<(&'static str, Vec<u8>)>>;

/// A map from streams to encoded events: each command decodes the stream's events and encodes one more.
pub(crate) fn by_hand(orders: usize) -> ((u64, Duration), Streams) {
    let orders = ids(orders);
    let mut streams = Streams::new();
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
    (((orders.len() * COMMANDS) as u64, elapsed), streams)
}

/// cqrs-es over its store in memory, which neither encodes nor decodes.
pub(crate) fn cqrs_es(runtime: &Runtime, orders: usize) -> ((u64, Duration), impl Sized + use<>) {
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
    (((orders.len() * COMMANDS) as u64, elapsed), framework)
}
