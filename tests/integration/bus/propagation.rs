//! Which trace a handler's span belongs to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{HandlerError, Message, Propagation, Received, Traced, header};
use eventsource_runtime::store::StreamId;
use eventsource_tests::clocks::Moved;
use eventsource_tests::own_bus::{Remote, remote, routing};
use eventsource_tests::recorder::Recorder;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use tokio::sync::{Notify, mpsc};

use super::spans::until_settled;

const CONTEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A message from elsewhere, whose context no bus of ours has written.
fn foreign(context: &str) -> Message {
    let headers: [(&str, &[u8]); 2] = [("traceparent", context.as_bytes()), ("event_type", b"OrderPlaced")];
    Message::read(headers, b"{}".as_slice().into())
}

/// The spans of a handler that gets messages as they came from elsewhere.
async fn handled(
    recorder: &Recorder,
    bus: Traced<Remote>,
    propagation: Propagation,
    messages: Vec<Message>,
) -> Vec<SpanData> {
    recorder
        .run(async {
            let subscription = bus.subscribe("inventory").propagation(propagation);
            let running = subscription.handle(async |_: Received| Ok(())).await.unwrap();
            let count = messages.len() as u64;
            // The producer's side is somebody else's.
            bus.clone().enable_tracing(false).publish_all(messages).await.unwrap();
            until_settled(&running, count).await;
            running.shutdown().await.unwrap();
        })
        .await;
    let spans = recorder.spans();
    assert!(spans.iter().all(|span| span.name.starts_with("process ")));
    spans
}

fn trace() -> TraceId {
    TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128)
}

fn is_linked(span: &SpanData) -> bool {
    span.links.links.iter().any(|link| link.span_context.trace_id() == trace())
}

#[tokio::test]
async fn a_fresh_message_continues_the_producers_trace_and_is_linked_to_it() {
    let spans = handled(&Recorder::new(), remote(), Propagation::default(), vec![foreign(CONTEXT)]).await;
    assert_eq!(spans[0].span_context.trace_id(), trace());
    assert_eq!(spans[0].parent_span_id, SpanId::from(0xb7ad_6b71_6920_3331_u64));
    assert!(spans[0].parent_span_is_remote && is_linked(&spans[0]));
}

#[tokio::test]
async fn an_old_message_starts_a_trace_of_its_own_with_a_link() {
    let bus = remote().with_clock(Arc::new(Moved::ahead(Duration::from_secs(121))));
    let spans = handled(&Recorder::new(), bus, Propagation::default(), vec![foreign(CONTEXT)]).await;
    assert_ne!(spans[0].span_context.trace_id(), trace());
    assert_eq!(spans[0].parent_span_id, SpanId::INVALID);
    assert!(is_linked(&spans[0]));
}

/// As an operator does it. To Kafka it is a message like any other, though its trace may be days old.
#[tokio::test]
async fn a_message_that_was_put_back_from_the_dead_letters_starts_a_trace_of_its_own_with_a_link() {
    let put_back = foreign(CONTEXT).with_header(header::DEAD_LETTER_ATTEMPTS, "6");
    let spans = handled(&Recorder::new(), remote(), Propagation::default(), vec![put_back]).await;
    assert_ne!(spans[0].span_context.trace_id(), trace());
    assert_eq!(spans[0].parent_span_id, SpanId::INVALID);
    assert!(is_linked(&spans[0]));
}

/// Those of a batch had links whatever the policy said of each.
#[tokio::test]
async fn a_batch_has_no_links_to_messages_whose_contexts_are_ignored() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = remote().with_clock(Arc::new(Moved::ahead(Duration::from_secs(121))));
            let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let shared = (Arc::clone(&begun), Arc::clone(&go));
            let handler = move |batch: Vec<Received>| {
                let (begun, go) = shared.clone();
                async move {
                    if batch[0].trace_context().is_none() {
                        begun.notify_one();
                        go.notified().await;
                    }
                    Ok::<_, HandlerError>(())
                }
            };
            let subscription = bus.subscribe("inventory").propagation(Propagation::default().ignore_stale());
            let running = subscription.handle_batches(10, handler).await.unwrap();
            let publisher = bus.clone().enable_tracing(false);
            publisher.publish(foreign("")).await.unwrap();
            begun.notified().await;
            publisher.publish_all([foreign(CONTEXT), foreign(CONTEXT)]).await.unwrap();
            go.notify_one();
            until_settled(&running, 3).await;
            running.shutdown().await.unwrap();
        })
        .await;
    let spans = recorder.spans();
    assert_eq!(spans.len(), 2, "one alone, and a batch of two");
    assert!(spans.iter().all(|span| span.links.links.is_empty()), "{spans:#?}");
}

/// On a clock that goes on when all wait for it: a pause is never shorter than a millisecond.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_ten_thousand_times_makes_no_growing_trace() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = remote();
            let subscription = bus.subscribe("inventory").max_retries(9_999).pauses(Duration::ZERO, Duration::ZERO);
            let last = Arc::new(Notify::new());
            let tell = Arc::clone(&last);
            let failing = move |received: Received| {
                if received.attempt() == 9_999 {
                    tell.notify_one();
                }
                std::future::ready(Err(HandlerError::new("never")))
            };
            let running = subscription.handle(failing).await.unwrap();
            bus.clone().enable_tracing(false).publish(foreign(CONTEXT)).await.unwrap();
            last.notified().await;
            assert_eq!(running.shutdown().await.unwrap().dead_lettered, 1);
        })
        .await;
    let spans = recorder.spans();
    assert_eq!(spans.len(), 10_000);
    let inside = spans.iter().filter(|span| span.span_context.trace_id() == trace()).count();
    assert_eq!(inside, 1, "the first delivery alone");
    assert!(spans.iter().all(is_linked));
}

#[tokio::test]
async fn an_untrusted_source_decides_neither_on_our_traces_nor_on_our_sampling() {
    let ours = Recorder::with(|builder| builder.sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff))));
    let hostile = (0..100).map(|_| foreign(CONTEXT)).collect();
    assert_eq!(handled(&ours, remote(), Propagation::default().untrusted(), hostile).await.len(), 0);
    let spans = handled(&Recorder::new(), remote(), Propagation::default().untrusted(), vec![foreign(CONTEXT)]).await;
    assert_ne!(spans[0].span_context.trace_id(), trace());
    assert!(is_linked(&spans[0]));
}

#[tokio::test]
async fn what_is_no_context_starts_a_new_trace() {
    let long = "0".repeat(1 << 20);
    let none = "00-00000000000000000000000000000000-0000000000000000-00";
    let hostile = ["", "00", none, &long, "\u{1b}[31m\r\nx: y"].map(foreign).to_vec();
    let count = hostile.len();
    let spans = handled(&Recorder::new(), remote(), Propagation::default(), hostile).await;
    assert_eq!(spans.len(), count);
    assert!(spans.iter().all(|span| span.parent_span_id == SpanId::INVALID && span.links.links.is_empty()));
}

#[tokio::test]
async fn the_context_survives_the_dead_letters_and_their_replay_is_linked_to_it() {
    let recorder = Recorder::new();
    recorder
        .run(async {
            let bus = remote();
            let failing = async |_: Received| Err(HandlerError::new("not today").permanent());
            let running = bus.subscribe("inventory").handle(failing).await.unwrap();
            bus.publish(Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}")).await.unwrap();
            until_settled(&running, 1).await;
            assert_eq!(running.shutdown().await.unwrap().dead_lettered, 1);
            let replay = bus.retry_dead_letters("inventory").handle(async |_: Received| Ok(())).await.unwrap();
            assert_eq!(replay.finished().await.unwrap().acknowledged, 1);
        })
        .await;
    let spans = recorder.spans();
    let [process, send, replay] = spans.as_slice() else { panic!("{}", recorder.trees().names()) };
    let (process, send) = if send.name == "send orders" { (process, send) } else { (send, process) };
    assert_eq!(process.parent_span_id, send.span_context.span_id());
    assert_ne!(replay.span_context.trace_id(), send.span_context.trace_id());
    let link = &replay.links.links[0];
    assert_eq!(link.span_context.span_id(), send.span_context.span_id());
    assert!(link.attributes.iter().any(|key| key.key.as_str() == "eventsource.replay"));
    assert!(replay.attributes.iter().any(|key| key.key.as_str() == "eventsource.replay"));
}

/// What the handler of a dead letter publishes on another bus, as that bus's group gets it, and the spans of that.
async fn sent_on(traced: bool) -> (Received, Vec<SpanData>) {
    let recorder = Recorder::new();
    let (came, mut coming) = mpsc::unbounded_channel();
    let received = recorder
        .run(async {
            let (bus, other) = (remote().enable_tracing(traced), routing());
            let failing = async |_: Received| Err(HandlerError::new("not today").permanent());
            let running = bus.subscribe("inventory").handle(failing).await.unwrap();
            bus.publish(foreign(CONTEXT).with_header("tenant", "north")).await.unwrap();
            until_settled(&running, 1).await;
            assert_eq!(running.shutdown().await.unwrap().dead_lettered, 1);
            let consumer = move |received: Received| {
                let sent = came.send(received);
                async move { Ok::<_, HandlerError>(sent?) }
            };
            let consumer = other.subscribe("audit").handle(consumer).await.unwrap();
            let publisher = other.clone().enable_tracing(traced);
            let sending_on = move |received: Received| {
                let publisher = publisher.clone();
                async move {
                    assert!(received.headers().get(header::DEAD_LETTER_REASON).is_some());
                    publisher.publish(received.into_message()).await?;
                    Ok::<_, HandlerError>(())
                }
            };
            let replay = bus.retry_dead_letters("inventory").handle(sending_on).await.unwrap();
            assert_eq!(replay.finished().await.unwrap().acknowledged, 1);
            let received = coming.recv().await.unwrap();
            consumer.shutdown().await.unwrap();
            received
        })
        .await;
    assert_eq!((received.attempt(), received.headers().text("tenant")), (0, Some("north")));
    let other = |span: &SpanData| span.name.contains("orders:");
    (received, recorder.spans().into_iter().filter(other).collect())
}

/// To whoever got it, it was a dead letter for ever.
#[tokio::test]
async fn what_the_handler_of_a_dead_letter_sends_on_is_none_and_continues_the_trace_that_sent_it() {
    let (received, spans) = sent_on(true).await;
    assert!(!received.is_redelivered() && !received.is_replayed());
    let names: Vec<_> = received.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["tenant"]);
    let [send, process] = ["send ", "process "].map(|kind| spans.iter().find(|span| span.name.starts_with(kind)));
    let (send, process) = (send.unwrap(), process.unwrap());
    assert_eq!(process.parent_span_id, send.span_context.span_id());
    assert_eq!(process.links.links[0].span_context.span_id(), send.span_context.span_id());
}

/// The trace of the letter may be days old.
#[tokio::test]
async fn what_the_handler_of_a_dead_letter_sends_on_without_spans_is_none_either_and_starts_a_trace() {
    let (received, spans) = sent_on(false).await;
    assert!(!received.is_redelivered());
    let [process] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_ne!(process.span_context.trace_id(), trace());
    assert_eq!((process.parent_span_id, process.links.len()), (SpanId::INVALID, 0));
}

/// What a stranger writes there must not travel on with whatever the handler calls.
#[tokio::test]
async fn baggage_stays_a_header_that_a_handler_may_ask_for() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = Arc::clone(&seen);
        move |received: Received| {
            let header = received.headers().text("baggage").map(str::to_owned);
            seen.lock().unwrap().push((header, opentelemetry::Context::current().baggage().len()));
            async { Ok::<_, HandlerError>(()) }
        }
    };
    let headers: [(&str, &[u8]); 3] =
        [("traceparent", CONTEXT.as_bytes()), ("event_type", b"OrderPlaced"), ("baggage", b"tenant=north")];
    let message = Message::read(headers, b"{}".as_slice().into());
    let (recorder, bus) = (Recorder::new(), remote());
    recorder
        .run(async {
            let running = bus.subscribe("inventory").handle(handler).await.unwrap();
            bus.publish(message).await.unwrap();
            until_settled(&running, 1).await;
            running.shutdown().await.unwrap();
        })
        .await;
    assert_eq!(*seen.lock().unwrap(), [(Some("tenant=north".to_owned()), 0)]);
}
