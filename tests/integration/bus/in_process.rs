//! The bus within the process where it gets tight.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventsource_runtime::bus::{
    BusError, HandlerError, InProcessBus, InProcessOptions, Message, PublishError, Received, SlowSubscriber,
    SubscriptionStopped,
};
use eventsource_runtime::store::StreamId;
use eventsource_tests::own_bus::remote;
use tokio::sync::{Notify, Semaphore, mpsc};

use super::spans::until_settled;

pub(super) fn message(stream: u32) -> Message {
    Message::new(StreamId::new("Order", stream), "OrderPlaced", "{}")
}

/// A handler that handles as many messages as it is allowed to.
pub(super) fn waiting(permits: &Arc<Semaphore>) -> impl Fn(Received) -> HandlerFuture + use<> {
    let permits = Arc::clone(permits);
    move |_| {
        let permits = Arc::clone(&permits);
        Box::pin(async move {
            permits.acquire().await?.forget();
            Ok(())
        })
    }
}

pub(super) type HandlerFuture = std::pin::Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

fn bus(capacity: usize, slow: SlowSubscriber) -> InProcessBus {
    InProcessBus::with_options(InProcessOptions::default().capacity(capacity).slow_subscriber(slow))
}

#[tokio::test]
async fn a_publisher_waits_for_a_slow_subscriber() {
    let (bus, permits) = (bus(2, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let running = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    bus.publish_all([message(1), message(2)]).await.unwrap();
    let mut third = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(message(3)).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!third.is_finished(), "the queue is full");
    permits.add_permits(1);
    (&mut third).await.unwrap().unwrap();
    permits.add_permits(2);
    until_settled(&running, 3).await;
    running.shutdown().await.unwrap();
}

/// It missed all that was published by the same call, and what that call waited with.
#[tokio::test]
async fn a_group_that_joins_while_a_publisher_waits_gets_what_is_confirmed_then() {
    let (bus, permits) = (bus(2, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let slow = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    let mut publishing = Box::pin(bus.publish_all((1..=4).map(numbered)));
    assert!(futures_util::poll!(&mut publishing).is_pending(), "the queue is full");
    let (tell, mut seen) = mpsc::unbounded_channel();
    let late = bus.subscribe("late").handle(move |received: Received| {
        let told = tell.send(received.payload().to_vec());
        async move { Ok::<_, HandlerError>(told?) }
    });
    let late = late.await.unwrap();
    permits.add_permits(4);
    publishing.await.unwrap();
    for number in 3..=4 {
        let handled = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.expect("in time");
        assert_eq!(handled, Some(numbered(number).payload().to_vec()));
    }
    assert_eq!(late.shutdown().await.unwrap().acknowledged, 2);
    assert_eq!(slow.shutdown().await.unwrap().acknowledged, 4);
}

/// A lane settles together what was handled without waiting for anything, but nothing waits for a handler that does.
#[tokio::test]
async fn what_was_handled_is_settled_while_the_next_message_is_waited_for() {
    let (bus, permits) = (bus(4, SlowSubscriber::Wait), Arc::new(Semaphore::new(1)));
    let running = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    bus.publish_all([message(1), message(2)]).await.unwrap();
    until_settled(&running, 1).await;
    assert_eq!(running.tally().acknowledged, 1);
    permits.add_permits(1);
    until_settled(&running, 2).await;
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn or_it_is_refused_and_then_nobody_gets_the_message() {
    let (bus, permits) = (bus(1, SlowSubscriber::Refuse), Arc::new(Semaphore::new(0)));
    let quick = bus.subscribe("a quick one").handle(async |_: Received| Ok(())).await.unwrap();
    let slow = bus.subscribe("a slow one").handle(waiting(&permits)).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    until_settled(&quick, 1).await;
    let refused = bus.publish_all([message(1), message(1)]).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Full { group, .. } if group == "a slow one"), "{refused}");
    permits.add_permits(1);
    assert_eq!(slow.shutdown().await.unwrap().acknowledged, 1);
    assert_eq!(quick.shutdown().await.unwrap().acknowledged, 1);
}

/// It was let past the bound, as one of the bus's own is, which may be what its queue waits for.
#[tokio::test]
async fn a_handler_of_another_bus_is_refused_as_anybody() {
    let (bus, permits) = (bus(1, SlowSubscriber::Refuse), Arc::new(Semaphore::new(0)));
    let slow = bus.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    let (broker, (told, mut outcomes)) = (remote(), mpsc::unbounded_channel());
    let bridge = bus.clone();
    let handler = move |_: Received| {
        let (bridge, told) = (bridge.clone(), told.clone());
        async move { Ok(told.send(bridge.publish(message(1)).await)?) }
    };
    let bridging = broker.subscribe("bridge").handle(handler).await.unwrap();
    broker.publish(message(2)).await.unwrap();
    let outcome = outcomes.recv().await.unwrap();
    assert!(matches!(outcome, Err(PublishError::Full { .. })), "{outcome:?}");
    bridging.shutdown().await.unwrap();
    permits.add_permits(1);
    assert_eq!(slow.shutdown().await.unwrap().acknowledged, 1);
}

/// Not being made to wait is for those whose queue may be waiting for them: to be refused holds up nobody.
#[tokio::test]
async fn a_handler_within_the_process_is_refused_as_well() {
    let (full, permits) = (bus(1, SlowSubscriber::Refuse), Arc::new(Semaphore::new(0)));
    let slow = full.subscribe("slow").handle(waiting(&permits)).await.unwrap();
    full.publish(message(1)).await.unwrap();
    let (other, (told, mut outcomes)) = (bus(1, SlowSubscriber::Wait), mpsc::unbounded_channel());
    let bridge = full.clone();
    let handler = move |_: Received| {
        let (bridge, told) = (bridge.clone(), told.clone());
        async move { Ok(told.send(bridge.publish(message(1)).await)?) }
    };
    let bridging = other.subscribe("bridge").handle(handler).await.unwrap();
    other.publish(message(2)).await.unwrap();
    let outcome = outcomes.recv().await.unwrap();
    assert!(matches!(outcome, Err(PublishError::Full { .. })), "{outcome:?}");
    bridging.shutdown().await.unwrap();
    permits.add_permits(1);
    assert_eq!(slow.shutdown().await.unwrap().acknowledged, 1);
}

#[tokio::test]
async fn shutting_the_bus_down_drains_it() {
    let (bus, permits) = (bus(100, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let running = bus.subscribe("slow").lanes(3).handle(waiting(&permits)).await.unwrap();
    bus.publish_all((0..50).map(message)).await.unwrap();
    let shutdown = tokio::spawn(bus.shutdown_within(Duration::from_secs(20)));
    permits.add_permits(50);
    shutdown.await.unwrap().unwrap();
    assert_eq!(running.finished().await.unwrap().acknowledged, 50);
    assert!(matches!(bus.publish(message(1)).await, Err(PublishError::Closed)));
    let refused = bus.subscribe("late").handle(async |_: Received| Ok(())).await;
    assert!(matches!(refused, Err(BusError::Closed)));
}

/// The oldest letter was let go without a word.
#[tokio::test]
async fn a_message_for_which_the_dead_letters_have_no_room_is_told() {
    let bus = InProcessBus::with_options(InProcessOptions::default().dead_letters(1));
    let fails = async |_: Received| Err::<(), _>(HandlerError::new("no").permanent());
    let running = bus.subscribe("full").handle(fails).await.unwrap();
    bus.publish_all([numbered(1), numbered(2)]).await.unwrap();
    until_settled(&running, 2).await;
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.dead_lettered, tally.unkeepable), (1, 1));
    let (tell, mut seen) = mpsc::unbounded_channel();
    let retried = bus.retry_dead_letters("full").handle(move |letter: Received| {
        let told = tell.send(letter.payload().to_vec());
        async move { Ok::<_, HandlerError>(told?) }
    });
    retried.await.unwrap().finished().await.unwrap();
    assert_eq!(seen.recv().await, Some(numbered(1).payload().to_vec()));
}

/// The letter that was under way came behind the others.
#[tokio::test]
async fn a_replay_that_is_aborted_leaves_the_letters_in_their_order() {
    let bus = InProcessBus::new();
    let fails = async |_: Received| Err::<(), _>(HandlerError::new("no").permanent());
    let running = bus.subscribe("ended").handle(fails).await.unwrap();
    bus.publish_all([1, 2, 3].map(numbered)).await.unwrap();
    until_settled(&running, 3).await;
    running.shutdown().await.unwrap();
    let begun = Arc::new(Notify::new());
    // Of what was taken together, the bus put the others back first.
    let aborted = bus.retry_dead_letters("ended").prefetch(1).handle({
        let begun = Arc::clone(&begun);
        move |_: Received| {
            begun.notify_one();
            std::future::pending::<Result<(), HandlerError>>()
        }
    });
    let aborted = aborted.await.unwrap();
    begun.notified().await;
    aborted.shutdown_within(Duration::ZERO).await.unwrap_err();
    let (tell, mut seen) = mpsc::unbounded_channel();
    let letters = [1, 2, 3].map(|number| numbered(number).payload().to_vec());
    for refused in [true, false] {
        let tell = tell.clone();
        let retried = bus.retry_dead_letters("ended").handle(move |letter: Received| {
            let told = tell.send(letter.payload().to_vec());
            async move {
                told?;
                if refused { Err(HandlerError::new("no").permanent()) } else { Ok(()) }
            }
        });
        retried.await.unwrap().finished().await.unwrap();
        let tried: Vec<_> = std::iter::from_fn(|| seen.try_recv().ok()).collect();
        assert_eq!(tried, letters, "each once, in their order");
    }
}

#[tokio::test]
async fn it_tells_what_it_left_when_its_time_was_up() {
    let (bus, permits) = (bus(100, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let running = bus.subscribe("stuck").handle(waiting(&permits)).await.unwrap();
    bus.publish_all((0..7).map(message)).await.unwrap();
    assert_eq!(bus.shutdown_within(Duration::ZERO).await.unwrap_err().left, 7);
    running.shutdown_within(Duration::ZERO).await.unwrap_err();
}

/// What it had reported as left was handled all the same, by handlers whose application had gone.
#[tokio::test]
async fn what_it_left_nobody_handles_any_more() {
    let (bus, permits) = (bus(100, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let running = bus.subscribe("slow").prefetch(1).lanes(1).handle(waiting(&permits)).await.unwrap();
    bus.publish_all((0..7).map(message)).await.unwrap();
    assert_eq!(bus.shutdown_within(Duration::ZERO).await.unwrap_err().left, 7);
    permits.add_permits(7);
    let tally = tokio::time::timeout(Duration::from_secs(20), running.finished()).await.expect("it ends").unwrap();
    assert!(tally.acknowledged < 7, "{tally:?}");
}

/// It waited for ever for the room in a queue that nobody empties any more, and with it whatever published through it.
#[tokio::test]
async fn a_publisher_does_not_wait_for_a_group_that_has_gone() {
    let (bus, permits) = (bus(1, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let (tell, mut seen) = mpsc::unbounded_channel();
    let other = bus.subscribe("other").handle(move |received: Received| {
        let told = tell.send(received.payload().to_vec());
        async move { Ok::<_, HandlerError>(told?) }
    });
    let other = other.await.unwrap();
    let stuck = bus.subscribe("stuck").handle(waiting(&permits)).await.unwrap();
    bus.publish(message(1)).await.unwrap();
    // So that it waits for the other one alone.
    until_settled(&other, 1).await;
    let publisher = bus.clone();
    let mut waiting = Box::pin(async move { publisher.publish(message(2)).await });
    assert!(futures_util::poll!(&mut waiting).is_pending());
    stuck.shutdown_within(Duration::ZERO).await.unwrap_err();
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time").unwrap();
    for _ in 0..2 {
        tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.expect("in time").unwrap();
    }
    other.shutdown().await.unwrap();
}

/// A member that has stopped still handles what is there, and makes room: what waited for that was left out, and what
/// came after it was handled.
#[tokio::test]
async fn a_publisher_waits_for_a_group_that_is_about_to_go() {
    let (bus, permits) = (bus(2, SlowSubscriber::Wait), Arc::new(Semaphore::new(0)));
    let (tell, mut seen) = mpsc::unbounded_channel();
    let handled = waiting(&permits);
    let leaving = bus.subscribe("leaving").lanes(1).prefetch(1).handle(move |received: Received| {
        let (told, handled) = (tell.send(received.payload().to_vec()), handled(received));
        async move {
            told?;
            handled.await
        }
    });
    let leaving = leaving.await.unwrap();
    bus.publish_all([numbered(1), numbered(2)]).await.unwrap();
    let (mut third, mut fourth) = (Box::pin(bus.publish(numbered(3))), Box::pin(bus.publish(numbered(4))));
    assert!(futures_util::poll!(&mut third).is_pending());
    assert!(futures_util::poll!(&mut fourth).is_pending());
    let ended = tokio::spawn(leaving.shutdown());
    // It stops when it is done with the first one, and goes on with the second. Then nobody is waited for who comes
    // now.
    permits.add_permits(1);
    while futures_util::poll!(&mut Box::pin(bus.publish(numbered(5)))).is_pending() {
        tokio::task::yield_now().await;
    }
    third.await.unwrap();
    assert!(futures_util::poll!(&mut fourth).is_pending(), "there is no room yet");
    permits.add_permits(1);
    tokio::time::timeout(Duration::from_secs(20), fourth).await.expect("in time").unwrap();
    permits.add_permits(2);
    assert_eq!(ended.await.unwrap().unwrap().acknowledged, 4);
    for number in 1..=4 {
        assert_eq!(seen.recv().await, Some(numbered(number).payload().to_vec()));
    }
}

pub(super) fn numbered(number: u32) -> Message {
    Message::new(StreamId::new("Order", 1), "OrderPlaced", number.to_string())
}

/// The group was another's while a handler was still at a message of it, which blocked its thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nobody_gets_what_comes_after_a_message_that_is_still_handled() {
    let bus = InProcessBus::new();
    let (tell, mut seen) = mpsc::unbounded_channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (released, begun) = (Arc::new(Mutex::new(Some(released))), Arc::new(Semaphore::new(0)));
    let member = || {
        let (tell, released, begun) = (tell.clone(), Arc::clone(&released), Arc::clone(&begun));
        bus.subscribe("group").lanes(1).prefetch(3).handle(move |received: Received| {
            let blocks = released.lock().unwrap().take();
            begun.add_permits(1);
            if let Some(released) = blocks {
                // Until the test has ended, at the latest.
                let _ = released.recv();
            }
            let told = tell.send(received.payload().to_vec());
            async move { Ok::<_, HandlerError>(told?) }
        })
    };
    let first = member().await.unwrap();
    let messages = (1..=6).map(|n| Message::new(StreamId::new("Order", 1), "OrderPlaced", n.to_string()));
    bus.publish_all(messages).await.unwrap();
    begun.acquire().await.unwrap().forget();
    let second = member().await.unwrap();
    let stopped = first.shutdown_within(Duration::ZERO).await.unwrap_err();
    assert!(matches!(stopped, SubscriptionStopped::Aborted { .. }), "{stopped}");
    let early = tokio::time::timeout(Duration::from_millis(200), seen.recv()).await;
    assert!(early.is_err(), "{early:?}");
    release.send(()).unwrap();
    let mut firsts = Vec::new();
    while firsts.len() < 6 {
        let ordinal = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.expect("in time").unwrap();
        if !firsts.contains(&ordinal) {
            firsts.push(ordinal);
        }
    }
    assert_eq!(firsts.concat(), b"123456");
    second.shutdown().await.unwrap();
}

/// A subscriber whose queue is full publishes to another whose queue is full and who publishes back.
#[tokio::test]
async fn subscribers_that_publish_to_each_other_do_not_wait_for_each_other() {
    let bus = bus(1, SlowSubscriber::Wait);
    let mut both = Vec::new();
    for (group, wanted, answer) in [("ping", "Pong", "Ping"), ("pong", "Ping", "Pong")] {
        let publisher = bus.clone();
        let handler = move |received: Received| {
            let bus = publisher.clone();
            async move {
                let left: u32 = std::str::from_utf8(received.payload())?.parse()?;
                if left > 0 {
                    // Long enough for whoever waits for the other group to see that it has nothing to do.
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    let stream = StreamId::new("Game", left);
                    bus.publish(Message::new(stream, answer, (left - 1).to_string())).await?;
                }
                Ok(())
            }
        };
        both.push(bus.subscribe(group).event_types([wanted]).handle(handler).await.unwrap());
    }
    for _ in 0..4 {
        bus.publish(Message::new(StreamId::new("Game", "start"), "Ping", "50")).await.unwrap();
    }
    // What handlers publish while the bus drains is drained as well. One group was looked at after the other: what was
    // published to the first after that was lost.
    bus.shutdown_within(Duration::from_secs(20)).await.unwrap();
    let mut acknowledged = 0;
    for running in both {
        acknowledged += running.finished().await.unwrap().acknowledged;
    }
    assert_eq!(acknowledged, 4 * 51);
}

/// As the page about operating says of a group of which members of an old release run beside those of a new one.
#[tokio::test]
async fn a_message_of_a_type_that_its_member_does_not_list_is_gone_for_the_group() {
    let (bus, permits) = (InProcessBus::new(), Arc::new(Semaphore::new(9)));
    let old = bus.subscribe("mails").event_types(["OrderPlaced"]).handle(waiting(&permits)).await.unwrap();
    let renamed = Message::new(StreamId::new("Order", 1), "OrderRenamed", "{}");
    bus.publish_all([renamed, message(1)]).await.unwrap();
    until_settled(&old, 1).await;
    let new = bus.subscribe("mails").handle(waiting(&permits)).await.unwrap();
    old.shutdown().await.unwrap();
    bus.publish(message(1)).await.unwrap();
    until_settled(&new, 1).await;
    new.shutdown().await.unwrap();
    assert_eq!(permits.available_permits(), 7, "two were handled");
}
