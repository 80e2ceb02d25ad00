//! What becomes of messages that cannot be handled.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::{Seen, a_stream, agreeing, in_time, numbered, ordinal, publish, showing, subscription};
use crate::bus::{EventBus, HandlerError, Received, Subscription, Traced, header};
use crate::telemetry::TraceContext;

fn no() -> HandlerError {
    HandlerError::new("not this one")
}

/// A temporary failure: the message is handled in the end, before those after it.
pub async fn a_message_that_fails_is_tried_again<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (mut seen, handler) = showing(|received| if received.attempt() < 2 { Err(no()) } else { Ok(()) });
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    let stream = a_stream();
    publish(&bus, [numbered(&stream, 1), numbered(&stream, 2)]).await;
    let seen: Vec<_> = seen.take(6).await.iter().map(|received| (ordinal(received), received.attempt())).collect();
    assert_eq!(seen, [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
    let tally = running.shutdown().await.expect("it ends");
    assert_eq!((tally.acknowledged, tally.dead_lettered), (2, 0));
}

/// A group on which the message with the ordinal 1 becomes a dead letter and the one with 2 is handled.
async fn failed<B: EventBus>(bus: &Traced<B>, context: Option<TraceContext>) -> (Seen, Subscription) {
    let (mut seen, handler) = showing(|received| if ordinal(received) == 1 { Err(no()) } else { Ok(()) });
    let running = subscription(bus, "one").handle(handler).await.expect("a group can be joined");
    let stream = a_stream();
    let failing = numbered(&stream, 1).with_header("tenant", "north").with_trace_context(context);
    publish(bus, [failing, numbered(&stream, 2)]).await;
    let mut ordinals = Vec::new();
    while ordinals.last() != Some(&2) {
        let received = seen.next().await;
        ordinals.push(ordinal(&received));
    }
    assert_eq!(ordinals, [1, 1, 1, 1, 2], "three retries, and then the next");
    (seen, running)
}

/// Retries are bounded; then the message is set aside, with everything it carried and the reason.
pub async fn a_message_that_keeps_failing_is_a_dead_letter<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await.enable_tracing(false);
    let context = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
    let (_seen, running) = failed(&bus, context.clone()).await;
    let tally = running.shutdown().await.expect("it ends");
    assert_eq!((tally.acknowledged, tally.dead_lettered), (1, 1));

    let (mut letters, handler) = agreeing();
    let replay = bus.retry_dead_letters("one").handle(handler).await.expect("a group has dead letters");
    let letter = letters.next().await;
    assert_eq!((ordinal(&letter), letter.trace_context()), (1, context.as_ref()));
    assert_eq!(letter.event_type(), Some("OrderPlaced"));
    let headers = letter.headers();
    assert_eq!(headers.text("tenant"), Some("north"));
    assert_eq!(headers.text(header::DEAD_LETTER_REASON), Some("HandlerError"));
    assert_eq!(headers.text(header::DEAD_LETTER_ATTEMPTS), Some("4"));
    assert!(headers.text(header::DEAD_LETTER_AT).is_some());
    assert!(headers.text(header::DEAD_LETTER_SOURCE).is_some());
    in_time(replay.finished()).await.expect("it ends when all have been tried");
}

/// A panic costs one attempt, not the subscription.
pub async fn a_panic_is_a_failure<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let (mut seen, handler) = showing(move |received| {
        let panics = ordinal(received) == 1 && count.fetch_add(1, Ordering::SeqCst) < 2;
        if panics { panic!("as it must") } else { Ok(()) }
    });
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    let stream = a_stream();
    publish(&bus, [numbered(&stream, 1), numbered(&stream, 2)]).await;
    let seen: Vec<_> = seen.take(2).await.iter().map(|received| ordinal(received)).collect();
    assert_eq!((seen, attempts.load(Ordering::SeqCst)), (vec![1, 2], 3));
    running.shutdown().await.expect("it ends");
}

/// One message that fails for good takes no other of its batch along.
pub async fn a_failing_batch_costs_the_messages_at_fault_alone<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (sender, mut done) = mpsc::unbounded_channel();
    let handler = move |batch: Vec<Received>| {
        let sender = sender.clone();
        async move {
            if batch.iter().any(|received| ordinal(received) == 3) {
                return Err(no().permanent());
            }
            for received in batch {
                sender.send(ordinal(&received))?;
            }
            Ok(())
        }
    };
    let running = subscription(&bus, "one").handle_batches(10, handler).await.expect("a group can be joined");
    let stream = a_stream();
    publish(&bus, (0..10).map(|ordinal| numbered(&stream, ordinal))).await;
    for expected in [0, 1, 2, 4, 5, 6, 7, 8, 9] {
        assert_eq!(in_time(done.recv()).await, Some(expected));
    }
    let tally = running.shutdown().await.expect("it ends");
    assert_eq!((tally.acknowledged, tally.dead_lettered), (9, 1));
}

/// A retried dead letter that succeeds is gone.
pub async fn dead_letters_are_tried_again_when_asked<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (_seen, running) = failed(&bus, None).await;
    running.shutdown().await.expect("it ends");
    let (mut letters, handler) = agreeing();
    let replay = bus.retry_dead_letters("one").handle(handler).await.expect("a group has dead letters");
    let tally = in_time(replay.finished()).await.expect("it ends when all have been tried");
    assert_eq!((tally.acknowledged, tally.dead_lettered), (1, 0));
    let letter = letters.next().await;
    assert_eq!((ordinal(&letter), letter.is_replayed()), (1, true));
    let (_, handler) = agreeing();
    let replay = bus.retry_dead_letters("one").handle(handler).await.expect("a group has dead letters");
    assert_eq!(in_time(replay.finished()).await.expect("it ends").acknowledged, 0);
}

/// One that fails again goes back, and the replay still ends. It keeps its source and its total number of attempts. The
/// same holds if others are to be retried.
pub async fn a_dead_letter_that_fails_again_goes_back<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (_seen, running) = failed(&bus, None).await;
    running.shutdown().await.expect("it ends");
    let (_, handler) = agreeing();
    let others = bus.retry_dead_letters("one").event_types(["OrderCancelled"]).handle(handler).await;
    let tally = in_time(others.expect("a group has dead letters").finished()).await.expect("it ends");
    assert_eq!((tally.acknowledged, tally.dead_lettered), (0, 0));
    let mut sources = HashSet::new();
    for attempts in ["4", "5"] {
        let (mut letters, handler) = showing(|_| Err(no().permanent()));
        let replay = bus.retry_dead_letters("one").handle(handler).await.expect("a group has dead letters");
        let tally = in_time(replay.finished()).await.expect("it ends when all have been tried");
        assert_eq!((tally.acknowledged, tally.dead_lettered), (0, 1));
        let letter = letters.next().await;
        assert_eq!(letter.headers().text(header::DEAD_LETTER_ATTEMPTS), Some(attempts));
        sources.insert(letter.headers().text(header::DEAD_LETTER_SOURCE).map(str::to_owned));
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
}
