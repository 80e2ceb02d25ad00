#![allow(unused)]

use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, Received};

async fn other_argument(bus: InProcessBus) {
    let handled = bus.subscribe("stock").handle(async |message: Message| Ok(())); //~
    drop(handled.await.unwrap());
}

async fn borrowed_argument(bus: InProcessBus) {
    let handled = bus.subscribe("stock").handle(async |message: &Received| Ok(())); //~
    drop(handled.await.unwrap());
}

async fn not_async(bus: InProcessBus) {
    let handled = bus.subscribe("stock").handle(|message: Received| Ok(())); //~
    drop(handled.await.unwrap());
}

async fn no_result(bus: InProcessBus) {
    let handled = bus.subscribe("stock").handle(async |message: Received| drop(message)); //~
    drop(handled.await.unwrap());
}

async fn one_for_many(bus: InProcessBus) {
    let handled = bus.subscribe("stock").handle_batches(10, async |message: Received| Ok(())); //~
    drop(handled.await.unwrap());
}

fn main() {}
