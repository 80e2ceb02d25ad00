//! Messages that are numbered, and who takes them: what the tests of brokers share.

use std::future::Future;
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, HandlerError, Message, Received, Subscription, Traced};
use eventsource_runtime::store::StreamId;
use tokio::sync::mpsc;

/// A message whose payload is its ordinal.
pub(crate) fn message(stream: &StreamId, ordinal: usize) -> Message {
    Message::new(stream.clone(), "OrderPlaced", ordinal.to_string())
}

pub(crate) fn ordinal(message: &Message) -> usize {
    std::str::from_utf8(message.payload()).unwrap().parse().unwrap()
}

pub(crate) async fn in_time<F: Future>(body: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(2), body).await.expect("it happens in time")
}

/// Waits until something is so, and looks at it every few milliseconds: whoever makes it so needs the processor.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// A member of the group `one` that shows what it gets.
pub(crate) async fn collecting<B: EventBus>(bus: &Traced<B>) -> (Subscription, mpsc::UnboundedReceiver<Received>) {
    collecting_as(bus, "one").await
}

/// A member of a group that shows what it gets.
pub(crate) async fn collecting_as<B: EventBus>(
    bus: &Traced<B>,
    group: &str,
) -> (Subscription, mpsc::UnboundedReceiver<Received>) {
    let (sender, seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let sent = sender.send(received);
        async move { Ok::<_, HandlerError>(sent?) }
    };
    (bus.subscribe(group).handle(handler).await.unwrap(), seen)
}
