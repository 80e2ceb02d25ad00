//! Two replays of the same dead letters at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{EventBus, HandlerError, InProcessBus, Received, Traced};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing;
use tokio::sync::{Barrier, mpsc};

use crate::messages::{in_time, message, ordinal};
use crate::{kafka, rabbitmq};

const LETTERS: usize = 6;

/// The letters that two replays tried, of which neither goes on before the other one has begun with a letter.
async fn tried_by_two<B: EventBus>(bus: Traced<B>) -> Vec<usize> {
    let refusing = async |_: Received| Err::<(), _>(HandlerError::new("refused").permanent());
    let running = bus.subscribe("one").handle(refusing).await.unwrap();
    let stream = StreamId::new("Order", 1);
    bus.publish_all((0..LETTERS).map(|number| message(&stream, number))).await.unwrap();
    in_time(async {
        while running.tally().dead_lettered < LETTERS as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    running.shutdown().await.unwrap();
    let (both_begun, (sender, mut tried)) = (Arc::new(Barrier::new(2)), mpsc::unbounded_channel());
    let mut replays = Vec::new();
    for _ in 0..2 {
        let (both_begun, sender, is_first) = (Arc::clone(&both_begun), sender.clone(), AtomicBool::new(true));
        let handler = move |letter: Received| {
            let (both_begun, is_first) = (Arc::clone(&both_begun), is_first.swap(false, Ordering::SeqCst));
            let sent = sender.send(ordinal(&letter));
            async move {
                if is_first {
                    both_begun.wait().await;
                }
                Ok::<_, HandlerError>(sent?)
            }
        };
        replays.push(bus.retry_dead_letters("one").prefetch(1).handle(handler).await.unwrap());
    }
    for replay in replays {
        in_time(replay.finished()).await.unwrap();
    }
    let mut all: Vec<_> = std::iter::from_fn(|| tried.try_recv().ok()).collect();
    all.sort_unstable();
    all
}

fn once() -> Vec<usize> {
    (0..LETTERS).collect()
}

#[test]
fn within_the_process_each_goes_to_one_of_them() {
    testing::run(async { assert_eq!(tried_by_two(InProcessBus::new()).await, once()) });
}

#[test]
fn on_rabbitmq_each_goes_to_one_of_them() {
    testing::run(async { assert_eq!(tried_by_two(rabbitmq::open(rabbitmq::options()).await).await, once()) });
}

/// A letter of a topic cannot be claimed.
#[test]
fn on_kafka_both_try_all_of_them() {
    let twice: Vec<_> = (0..LETTERS).flat_map(|number| [number; 2]).collect();
    testing::run(async { assert_eq!(tried_by_two(kafka::open(kafka::options(1)).await).await, twice) });
}
