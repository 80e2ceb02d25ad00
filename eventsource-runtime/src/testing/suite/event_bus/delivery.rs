//! Which messages reach whom, and in which order.

use std::collections::{BTreeMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use uuid::Uuid;

use super::{PATIENCE, Seen, a_stream, agreeing, in_time, numbered, ordinal, publish, subscription};
use crate::bus::{EventBus, HandlerError, Message, Received, Traced, header};
use crate::clock::Timestamp;
use crate::store::StreamId;

/// A message arrives as it was sent, also if the aggregate's id is empty, or as long as a stream's may be.
pub async fn a_message_comes_as_it_was_sent<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    // Without spans a message keeps the context that it was given.
    let bus = open().await.enable_tracing(false);
    let (mut seen, handler) = agreeing();
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    let context: Option<crate::telemetry::TraceContext> =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().ok();
    let context = context.map(|context| context.with_state("vendor=1"));
    for stream in [a_stream(), StreamId::new("Order", ""), StreamId::new("Order", "é".repeat(509))] {
        let sent = Message::new(stream, "OrderPlaced", (0..=255).collect::<Vec<u8>>())
            .with_occurred_at(Timestamp::from_micros(1_792_000_000_123_456))
            .with_correlation_id(Uuid::now_v7())
            .with_causation_id(Uuid::now_v7())
            .with_header("shard", "eu-1")
            .with_header("tenant", "north \"1\" é")
            .with_header("urgent", "")
            .with_trace_context(context.clone());
        publish(&bus, [sent.clone()]).await;
        let received = seen.next().await;
        assert_eq!(received.clone().into_message(), sent);
        assert!(!received.is_replayed() && !received.has_malformed_context());
    }
    running.shutdown().await.expect("it ends");
}

/// An unreadable context and unreadable ids start a new trace, and are no reason to fail; they are kept as they came.
pub async fn what_is_malformed_comes_all_the_same<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await.enable_tracing(false);
    let (mut seen, handler) = agreeing();
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    // An in-process bus reads no headers: there they are as harmless, and stay where they were put.
    let hostile = "00-zz\r\nx: y\u{1b}[31m";
    publish(&bus, [numbered(&a_stream(), 1).with_header(header::TRACEPARENT, hostile)]).await;
    let received = seen.next().await;
    assert_eq!(received.trace_context(), None);
    assert_eq!(received.headers().text(header::TRACEPARENT), Some(hostile));
    running.shutdown().await.expect("it ends");
}

/// Groups are independent of each other.
pub async fn every_group_gets_every_message<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let mut groups: Vec<(Seen, _)> = Vec::new();
    for group in ["one", "two", "three"] {
        let (seen, handler) = agreeing();
        groups.push((seen, subscription(&bus, group).handle(handler).await.expect("a group can be joined")));
    }
    let stream = a_stream();
    publish(&bus, (0..20).map(|ordinal| numbered(&stream, ordinal))).await;
    for (seen, running) in &mut groups {
        let ordinals: Vec<_> = seen.different(20).await.iter().map(|received| ordinal(received)).collect();
        assert_eq!(ordinals, (0..20).collect::<Vec<_>>());
        assert!(running.tally().dead_lettered == 0);
    }
    for (_, running) in groups {
        running.shutdown().await.expect("it ends");
    }
}

/// Many streams in several lanes, published in batches and singly: each stream in its order.
pub async fn messages_of_a_stream_keep_their_order<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (mut seen, handler) = agreeing();
    let running = subscription(&bus, "one").lanes(4).handle(handler).await.expect("a group can be joined");
    let streams: Vec<_> = (0..16).map(|_| a_stream()).collect();
    let each = 40;
    for round in 0..each {
        let batch = streams.iter().map(|stream| numbered(stream, round));
        if round % 2 == 0 {
            publish(&bus, batch).await;
        } else {
            for message in batch {
                publish(&bus, [message]).await;
            }
        }
    }
    let mut by_stream = BTreeMap::<_, Vec<_>>::new();
    for received in seen.different(streams.len() * each).await {
        by_stream.entry(received.stream().cloned()).or_default().push(ordinal(&received));
    }
    assert_eq!(by_stream.len(), streams.len());
    for ordinals in by_stream.values() {
        assert_eq!(*ordinals, (0..each).collect::<Vec<_>>());
    }
    running.shutdown().await.expect("it ends");
}

/// However many members a group has, one of them handles a message; when one leaves, the others go on.
pub async fn members_of_a_group_share_its_messages<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (sender, seen) = mpsc::unbounded_channel();
    let mut seen = Seen(seen);
    let mut members = Vec::new();
    for _ in 0..2 {
        let sender = sender.clone();
        let handler = move |received: Received| {
            let sent = sender.send(received);
            async move { Ok::<_, HandlerError>(sent?) }
        };
        members.push(subscription(&bus, "one").handle(handler).await.expect("a group can be joined"));
    }
    let streams: Vec<_> = (0..8).map(|_| a_stream()).collect();
    publish(&bus, streams.iter().map(|stream| numbered(stream, 1))).await;
    seen.different(8).await;
    let left = members.remove(0).shutdown().await.expect("it ends");
    publish(&bus, streams.iter().map(|stream| numbered(stream, 2))).await;
    let mut rest = HashSet::new();
    while rest.len() < 8 {
        let received = seen.next().await;
        if ordinal(&received) == 2 {
            rest.insert(received.id());
        }
    }
    let stayed = members.remove(0).shutdown().await.expect("it ends");
    // Some may come again where a member leaves, but not all that it had.
    let handled = left.acknowledged + stayed.acknowledged;
    assert!(handled < 24, "{handled} times a message was handled, of which there are 16");
}

/// A batch does not wait for more, holds no more than was asked for, and is in order.
pub async fn a_batch_is_what_is_there<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (sender, mut batches) = mpsc::unbounded_channel();
    let handler = move |batch: Vec<Received>| {
        let sent = sender.send(batch);
        async move { Ok::<_, HandlerError>(sent?) }
    };
    let running = subscription(&bus, "one").handle_batches(7, handler).await.expect("a group can be joined");
    let stream = a_stream();
    publish(&bus, (0..50).map(|ordinal| numbered(&stream, ordinal))).await;
    let mut ordinals = Vec::new();
    while ordinals.len() < 50 {
        let batch = in_time(batches.recv()).await.expect("the handler is there");
        assert!((1..=7).contains(&batch.len()));
        ordinals.extend(batch.iter().map(|received| ordinal(received)));
    }
    assert_eq!(ordinals, (0..50).collect::<Vec<_>>());
    assert_eq!(running.shutdown().await.expect("it ends").acknowledged, 50);
}

/// Other events are acknowledged unseen.
pub async fn only_the_wanted_events_are_handled<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (mut seen, handler) = agreeing();
    let wanted = subscription(&bus, "one").event_types(["OrderShipped"]);
    let running = wanted.handle(handler).await.expect("a group can be joined");
    let stream = a_stream();
    publish(&bus, (0..10).map(|ordinal| numbered(&stream, ordinal))).await;
    publish(&bus, [Message::new(stream, "OrderShipped", "{}")]).await;
    assert_eq!(seen.next().await.event_type(), Some("OrderShipped"));
    running.shutdown().await.expect("it ends");
}

/// A handler that publishes into the very queue that it empties does not wait for itself.
pub async fn a_handler_may_publish_to_itself<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (sender, mut last) = mpsc::unbounded_channel();
    let (publisher, stream) = (bus.clone(), a_stream());
    let handler = move |received: Received| {
        let (bus, sender) = (publisher.clone(), sender.clone());
        async move {
            let next = ordinal(&received) + 1;
            if next <= 5 {
                let stream = received.stream().cloned().ok_or(HandlerError::new("it has a stream"))?;
                // More than some queues hold.
                bus.publish_all((0..2).map(|_| numbered(&stream, next))).await?;
            } else {
                sender.send(next)?;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    publish(&bus, [numbered(&stream, 0)]).await;
    for _ in 0..32 {
        assert_eq!(in_time(last.recv()).await, Some(6));
    }
    running.shutdown().await.expect("it ends");
}

/// A message that is being handled when the shutdown begins is handled to its end, however often that has to be
/// retried.
pub async fn shutting_down_finishes_what_was_taken<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let (begun, go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let shared = (Arc::clone(&begun), Arc::clone(&go), Arc::clone(&done));
    let handler = move |received: Received| {
        let (begun, go, done) = shared.clone();
        async move {
            match received.attempt() {
                0 => {
                    begun.notify_one();
                    go.notified().await;
                    Err(HandlerError::new("not yet"))
                }
                1 | 2 => Err(HandlerError::new("not yet")),
                _ => {
                    done.store(true, Ordering::SeqCst);
                    Ok(())
                }
            }
        }
    };
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    publish(&bus, [numbered(&a_stream(), 1)]).await;
    in_time(begun.notified()).await;
    // For longer than the wait below: a bus that does not stop must not pass for one that does.
    let mut shutdown = pin!(running.shutdown_within(2 * PATIENCE));
    let early = poll_fn(|task| Poll::Ready(shutdown.as_mut().poll(task).is_ready())).await;
    assert!(!early, "a message is still handled");
    go.notify_one();
    let tally = in_time(shutdown).await.expect("it ends");
    assert_eq!((tally.acknowledged, done.load(Ordering::SeqCst)), (1, true));
}

/// A member that leaves in the middle leaves its message to the next one.
pub async fn what_was_not_settled_comes_again<B: EventBus>(open: impl AsyncFn() -> Traced<B>) {
    let bus = open().await;
    let begun = Arc::new(Notify::new());
    let tell = Arc::clone(&begun);
    let stuck = move |_: Received| {
        tell.notify_one();
        std::future::pending::<Result<(), HandlerError>>()
    };
    let running = subscription(&bus, "one").handle(stuck).await.expect("a group can be joined");
    let message = numbered(&a_stream(), 1);
    publish(&bus, [message.clone()]).await;
    in_time(begun.notified()).await;
    running.shutdown_within(Duration::ZERO).await.expect_err("it was stuck");
    let (mut seen, handler) = agreeing();
    let running = subscription(&bus, "one").handle(handler).await.expect("a group can be joined");
    assert_eq!(seen.next().await.id(), message.id());
    running.shutdown().await.expect("it ends");
}
