//! How far a group is behind, told on all buses alike.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, HandlerError, InProcessBus, Lag, Received, Traced};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use tokio::sync::{Semaphore, mpsc};

use crate::messages::{in_time, message};
use crate::{kafka, rabbitmq};

fn lag<B: EventBus>(bus: &Traced<B>) -> Option<u64> {
    let mut all = None;
    bus.inner().health().unwrap().lags(&mut |Lag { group, messages, .. }| {
        assert_eq!(group, "one");
        all = Some(all.unwrap_or(0) + messages);
    });
    all
}

/// Waits until the group is so many messages behind; `None` where nobody is there to lag behind.
pub(crate) async fn wait_for_lag<B: EventBus>(bus: &Traced<B>, expected: Option<u64>) {
    in_time(async {
        while lag(bus) != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Whether it waits at the broker, in a lane, or for its handler.
async fn what_is_not_done_with_is_told<B: EventBus>(bus: Traced<B>) {
    let gate = Arc::new(Semaphore::new(0));
    let (sender, mut done) = mpsc::unbounded_channel();
    let handler = {
        let gate = Arc::clone(&gate);
        move |_: Received| {
            let (gate, sender) = (Arc::clone(&gate), sender.clone());
            async move {
                gate.acquire().await?.forget();
                sender.send(())?;
                Ok::<_, HandlerError>(())
            }
        }
    };
    let running = bus.subscribe("one").prefetch(3).handle(handler).await.unwrap();
    bus.publish_all((0..10).map(|stream| message(&StreamId::new("Order", stream), 0))).await.unwrap();
    wait_for_lag(&bus, Some(10)).await;
    gate.add_permits(4);
    for _ in 0..4 {
        in_time(done.recv()).await.unwrap();
    }
    wait_for_lag(&bus, Some(6)).await;
    gate.add_permits(6);
    wait_for_lag(&bus, Some(0)).await;
    running.shutdown().await.unwrap();
    wait_for_lag(&bus, None).await;
}

#[test]
fn within_the_process() {
    testing::run(what_is_not_done_with_is_told(InProcessBus::new()));
}

#[test]
fn on_kafka() {
    testing::run(async { what_is_not_done_with_is_told(kafka::open(kafka::options(3)).await).await });
}

#[test]
fn on_rabbitmq() {
    testing::run(async { what_is_not_done_with_is_told(rabbitmq::open(rabbitmq::options().queues(2)).await).await });
}
