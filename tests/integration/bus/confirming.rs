//! The bus within the process that confirms what is handled.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{
    HandlerError, InProcessBus, InProcessOptions, PublishError, Received, Relay, Subscription,
};
use eventsource_runtime::store::MemoryStore;
use tokio::sync::Semaphore;

use super::in_process::{message, waiting};
use super::spans::until_settled;
use crate::following::place_many;

fn confirming() -> InProcessBus {
    InProcessBus::with_options(InProcessOptions::default().confirm_handled())
}

/// Waits until a group has settled so many messages, which is no confirmation yet.
async fn unconfirmed<F: Future<Output: Debug> + Unpin>(publishing: &mut F, group: &Subscription, messages: u64) {
    tokio::select! {
        biased;
        published = publishing => panic!("another group has not: {published:?}"),
        () = until_settled(group, messages) => (),
    }
}

#[tokio::test]
async fn a_message_is_confirmed_when_every_group_has_handled_it() {
    let (bus, permits) = (confirming(), Arc::new(Semaphore::new(0)));
    let quick = bus.subscribe("quick").handle(async |_: Received| Ok(())).await.unwrap();
    let slow = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    let mut publishing = Box::pin(bus.publish_all([message(1), message(2)]));
    unconfirmed(&mut publishing, &quick, 2).await;
    permits.add_permits(1);
    unconfirmed(&mut publishing, &slow, 1).await;
    permits.add_permits(1);
    publishing.await.unwrap();

    let publishing = bus.publish(message(3));
    let (published, ended) = tokio::join!(publishing, bus.shutdown_within(Duration::ZERO));
    assert!(matches!(published, Err(PublishError::Closed)), "{published:?}");
    assert_eq!(ended.unwrap_err().left, 1);
}

/// A handler would wait for itself.
#[tokio::test]
async fn what_a_handler_publishes_is_confirmed_at_once() {
    let bus = confirming();
    let again = bus.clone();
    let handle = move |received: Received| {
        let again = again.clone();
        async move {
            if received.stream() == message(1).stream() {
                Ok(again.publish(message(2)).await.map(drop)?)
            } else {
                Ok(())
            }
        }
    };
    let running = bus.subscribe("echo").handle(handle).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    until_settled(&running, 2).await;
}

/// What was in a queue was lost with the process: nothing but a broker kept it.
#[tokio::test(start_paused = true)]
async fn what_a_relay_has_published_and_nobody_has_handled_comes_again() {
    let store = MemoryStore::new();
    let last = place_many(&store, 3).await;
    let relayed = async |permits: usize, seen: usize| {
        let (bus, permits) = (confirming(), Arc::new(Semaphore::new(permits)));
        let running = bus.subscribe("mails").handle(waiting(&permits)).await.unwrap();
        let relay = Relay::new("mails", store.clone(), bus).spawn();
        until_settled(&running, seen as u64).await;
        (relay, running)
    };
    let (relay, running) = relayed(2, 2).await;
    drop(running);
    relay.shutdown().await.unwrap();
    // All of the batch, since one of it was not handled.
    let (relay, _running) = relayed(3, 3).await;
    relay.wait_for(last).await.unwrap();
    relay.shutdown().await.unwrap();
}

/// It was passed by, as where nobody waits for it.
#[tokio::test]
async fn a_group_whose_members_have_left_is_waited_for() {
    let bus = confirming();
    assert!(matches!(bus.publish(message(1)).await, Err(PublishError::Unroutable { .. })));
    let mails = bus.subscribe("mails").handle(async |_: Received| Ok(())).await.unwrap();
    let invoices = bus.subscribe("invoices").handle(async |_: Received| Ok(())).await.unwrap();
    mails.shutdown().await.unwrap();
    let mut publishing = Box::pin(bus.publish(message(2)));
    unconfirmed(&mut publishing, &invoices, 1).await;
    let _mails = bus.subscribe("mails").handle(async |_: Received| Ok(())).await.unwrap();
    publishing.await.unwrap();
}

/// It was confirmed, and nobody had it any more; or refused, and the other group got it again and again.
#[tokio::test(start_paused = true)]
async fn what_no_dead_letter_has_room_for_waits_for_it() {
    let bus = InProcessBus::with_options(InProcessOptions::default().confirm_handled().dead_letters(1));
    let refuse = async |_: Received| Err(HandlerError::new("never").permanent());
    let _invoices = bus.subscribe("invoices").handle(refuse).await.unwrap();
    let mails = bus.subscribe("mails").handle(async |_: Received| Ok(())).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    let mut publishing = Box::pin(bus.publish(message(2)));
    unconfirmed(&mut publishing, &mails, 2).await;
    let retried = bus.retry_dead_letters("invoices").handle(async |_: Received| Ok(())).await.unwrap();
    retried.finished().await.unwrap();
    publishing.await.unwrap();
    assert_eq!(mails.tally().acknowledged, 2);
}

/// Its subscription had no end, nor had whatever waited for that.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_among_the_dead_letters_is_let_go_when_the_bus_is_shut_down() {
    let bus = InProcessBus::with_options(InProcessOptions::default().confirm_handled().dead_letters(1));
    let refuse = async |_: Received| Err(HandlerError::new("never").permanent());
    let invoices = bus.subscribe("invoices").handle(refuse).await.unwrap();
    let mails = bus.subscribe("mails").handle(async |_: Received| Ok(())).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    let mut publishing = Box::pin(bus.publish(message(2)));
    unconfirmed(&mut publishing, &mails, 2).await;
    assert_eq!(bus.shutdown_within(Duration::ZERO).await.unwrap_err().left, 1);
    assert!(matches!(publishing.await, Err(PublishError::Closed)));
    let tally = tokio::time::timeout(Duration::from_secs(20), invoices.finished()).await.expect("it ends").unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered, tally.unkeepable), (0, 1, 1));
}

/// Its queue was there from then on, and nobody ever took from it.
#[tokio::test]
async fn a_group_of_which_only_the_dead_letters_were_asked_for_is_not_waited_for() {
    let bus = confirming();
    let retried = bus.retry_dead_letters("mial").handle(async |_: Received| Ok(())).await.unwrap();
    retried.finished().await.unwrap();
    assert!(matches!(bus.publish(message(1)).await, Err(PublishError::Unroutable { .. })));
    let _mails = bus.subscribe("mails").handle(async |_: Received| Ok(())).await.unwrap();
    bus.publish(message(2)).await.unwrap();
}
