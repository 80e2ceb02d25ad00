//! The bus within the process while nobody has subscribed, and after a shutdown that was given up.

use std::sync::Arc;

use eventsource_runtime::bus::{HandlerError, InProcessBus, InProcessOptions, Message, PublishError, Received};
use eventsource_runtime::store::StreamId;
use tokio::sync::Semaphore;

use super::in_process::{message, waiting};
use super::spans::until_settled;

/// Of a shutdown that was dropped halfway, nobody said that it can be called again.
#[tokio::test]
async fn a_shutdown_that_was_dropped_is_gone_on_with_by_the_next() {
    let (bus, permits) = (InProcessBus::new(), Arc::new(Semaphore::new(0)));
    let running = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    bus.publish_all((0..2).map(message)).await.unwrap();
    let mut shutdown = Box::pin(bus.shutdown());
    assert!(futures_util::poll!(&mut shutdown).is_pending(), "two are there");
    drop(shutdown);
    assert!(matches!(bus.publish(message(1)).await, Err(PublishError::Closed)));
    permits.add_permits(1);
    until_settled(&running, 1).await;
    permits.add_permits(1);
    bus.shutdown().await.unwrap();
    assert_eq!(running.finished().await.unwrap().acknowledged, 2);
}

/// The one that handled the messages left them to the other one, which had gone.
#[tokio::test]
async fn members_that_are_shut_down_together_handle_what_is_there() {
    let (bus, permits) = (InProcessBus::new(), Arc::new(Semaphore::new(0)));
    let member = || bus.subscribe("group").prefetch(1).handle(waiting(&permits));
    let (one, other) = (member().await.unwrap(), member().await.unwrap());
    bus.publish_all((0..10).map(message)).await.unwrap();
    permits.add_permits(1);
    while one.tally().acknowledged + other.tally().acknowledged == 0 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(9);
    let (one, other) = tokio::join!(one.shutdown(), other.shutdown());
    assert_eq!(one.unwrap().acknowledged + other.unwrap().acknowledged, 10);
}

/// One group was looked at after the other: what was published to the first after that was left.
#[tokio::test]
async fn what_is_published_to_a_group_that_was_done_is_drained() {
    let (bus, [asked, answered]) = (InProcessBus::new(), [(); 2].map(|()| Arc::new(Semaphore::new(0))));
    let of_type = |event_type| Message::new(StreamId::new("Order", 1), event_type, "{}");
    let done = bus.subscribe("a").event_types(["Answered"]).handle(waiting(&answered)).await.unwrap();
    let (publisher, permits) = (bus.clone(), Arc::clone(&asked));
    let answers = move |_: Received| {
        let (bus, permits) = (publisher.clone(), Arc::clone(&permits));
        async move {
            permits.acquire().await?.forget();
            bus.publish(of_type("Answered")).await?;
            Ok::<_, HandlerError>(())
        }
    };
    let answers = bus.subscribe("b").event_types(["Asked"]).handle(answers).await.unwrap();
    bus.publish(of_type("Asked")).await.unwrap();
    let mut shutdown = Box::pin(bus.shutdown());
    for permits in [&asked, &answered] {
        // Long enough for it to see what is done.
        for _ in 0..100 {
            assert!(futures_util::poll!(&mut shutdown).is_pending());
            tokio::task::yield_now().await;
        }
        permits.add_permits(1);
    }
    shutdown.await.unwrap();
    for (running, handled) in [(answers, 1), (done, 1)] {
        assert_eq!(running.finished().await.unwrap().acknowledged, handled);
    }
}

/// It was confirmed, and gone.
#[tokio::test]
async fn what_nobody_would_get_is_refused_if_asked_for() {
    let bus = InProcessBus::with_options(InProcessOptions::default().refuse_unroutable());
    let outcomes = bus.publish_each([message(1), message(1), message(2)]).await;
    let types: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map_err(PublishError::error_type)).collect();
    assert_eq!(types, [Err("unroutable"), Err("behind"), Err("unroutable")]);
    let running = bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
    assert!(bus.publish_each([message(1), message(2)]).await.iter().all(Result::is_ok));
    assert_eq!(running.shutdown().await.unwrap().acknowledged, 2);
    assert!(matches!(bus.publish(message(1)).await, Err(PublishError::Unroutable { .. })), "they have left");
}
