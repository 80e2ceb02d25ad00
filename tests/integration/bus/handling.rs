//! How long a call of a handler may take, and how large a batch may be.

use std::future::{Ready, ready};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_runtime::bus::{HandlerError, InProcessBus, InProcessOptions, Received};
use eventsource_runtime::store::{EventStore, MemoryStore, SqliteStore, StoreError};
use eventsource_tests::placing::{self, place};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::in_process::numbered;
use super::spans::until_settled;

/// It held up its lane for ever. On a clock that goes on when all wait for it.
#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_has_failed() {
    let (bus, tries) = (InProcessBus::new(), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&tries);
    let stuck = move |_: Received| {
        *counted.lock().unwrap() += 1;
        std::future::pending::<Result<(), HandlerError>>()
    };
    let patient = bus.subscribe("stuck").timeout(Duration::from_secs(30)).max_retries(2);
    let running = patient.handle(stuck).await.unwrap();
    bus.publish(numbered(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!((running.shutdown().await.unwrap().dead_lettered, *tries.lock().unwrap()), (1, 3));
    let (tell, mut seen) = mpsc::unbounded_channel();
    let retried = bus.retry_dead_letters("stuck").handle(move |letter: Received| {
        let told = tell.send(letter.headers().text("dead_letter_reason").map(str::to_owned));
        async move { Ok::<_, HandlerError>(told?) }
    });
    retried.await.unwrap().finished().await.unwrap();
    assert_eq!(seen.recv().await.unwrap().as_deref(), Some("timeout"));
}

/// A handler that finds its store away for a while, and how often it was called.
fn until_the_store_works(
    away: u32,
) -> (impl Fn(Received) -> Ready<Result<(), HandlerError>> + Send + Sync, Arc<AtomicU32>) {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let handler = move |_: Received| {
        let is_away = counted.fetch_add(1, Ordering::SeqCst) < away;
        let refused = || StoreError::backend("connect", io::Error::from(io::ErrorKind::ConnectionRefused)).into();
        ready(if is_away { Err(refused()) } else { Ok(()) })
    };
    (handler, tries)
}

/// What a handler's database missed in a second and a half was dead letters. On a clock that goes on when all wait.
#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_is_waited_for() {
    let bus = InProcessBus::new();
    let (handler, tries) = until_the_store_works(20);
    let running = bus.subscribe("inbox").max_retries(0).handle(handler).await.unwrap();
    bus.publish(numbered(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered, tries.load(Ordering::SeqCst)), (1, 0, 21));
}

/// A command says in an error of its own that its store is closed, behind which that was not to be seen: the message was
/// a dead letter after its retries.
#[tokio::test]
async fn a_store_that_a_command_finds_closed_is_waited_for() {
    let (closed, open) = (SqliteStore::open(":memory:").await.unwrap(), MemoryStore::new());
    closed.close().await;
    let (closed, opened) = (placing::bus(&closed), Arc::new(placing::bus(&open)));
    let (closed, tries) = (Arc::new(closed), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&tries);
    let handler = move |_: Received| {
        let is_closed = counted.fetch_add(1, Ordering::SeqCst) < 3;
        let commands = Arc::clone(if is_closed { &closed } else { &opened });
        async move {
            commands.dispatch(place(Uuid::nil())).await?;
            Ok::<_, HandlerError>(())
        }
    };
    let bus = InProcessBus::new();
    let inbox = bus.subscribe("inbox").max_retries(0).pauses(Duration::ZERO, Duration::ZERO);
    let running = inbox.handle(handler).await.unwrap();
    bus.publish(numbered(1)).await.unwrap();
    until_settled(&running, 1).await;
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered, tries.load(Ordering::SeqCst)), (1, 0, 4));
    assert_eq!(open.head().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_is_not_waited_for_without_end() {
    let bus = InProcessBus::new();
    let (handler, _tries) = until_the_store_works(u32::MAX);
    let patient = bus.subscribe("inbox").patience(Duration::from_mins(1));
    let running = patient.handle(handler).await.unwrap();
    bus.publish(numbered(1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(58)).await;
    assert_eq!(running.tally().dead_lettered, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(running.shutdown().await.unwrap().dead_lettered, 1);
}

/// It was waited for until the time for that was up. What came behind is not handled before it.
#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_does_not_hold_up_the_end() {
    let bus = InProcessBus::new();
    let (handler, tries) = until_the_store_works(u32::MAX);
    let running = bus.subscribe("inbox").handle(handler).await.unwrap();
    bus.publish_all((1..=3).map(numbered)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = (tokio::time::Instant::now(), tries.load(Ordering::SeqCst));
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered, tries.load(Ordering::SeqCst)), (0, 0, before.1));
    assert!(before.0.elapsed() < Duration::from_secs(6));
}

/// Whoever takes messages waited for room, and did not hear of the end.
#[tokio::test(start_paused = true)]
async fn a_store_in_trouble_does_not_hold_up_the_end_of_those_who_have_all_they_may_have() {
    let bus = InProcessBus::new();
    let (handler, _tries) = until_the_store_works(u32::MAX);
    let running = bus.subscribe("inbox").prefetch(2).pauses(Duration::from_mins(1), Duration::from_mins(1));
    let running = running.handle(handler).await.unwrap();
    bus.publish_all((1..=5).map(numbered)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let asked = tokio::time::Instant::now();
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered), (0, 0));
    assert!(asked.elapsed() < Duration::from_secs(1), "nor does a pause");
    // They are all there for the next one, in order.
    let (sender, mut seen) = mpsc::unbounded_channel();
    let next = bus
        .subscribe("inbox")
        .handle(move |received: Received| ready(sender.send(received).map_err(HandlerError::from)));
    let next = next.await.unwrap();
    for number in 1..=5 {
        let received = seen.recv().await.unwrap();
        assert_eq!(received.payload(), numbered(number).payload());
    }
    next.shutdown().await.unwrap();
}

/// The last letter was taken at once, which passed for an end: the letters went back with the first trouble.
#[tokio::test(start_paused = true)]
async fn dead_letters_are_retried_through_the_trouble_of_a_store() {
    let bus = InProcessBus::new();
    let failing = bus.subscribe("inbox").max_retries(0);
    let failing = failing.handle(async |_: Received| Err::<(), _>(HandlerError::new("not now"))).await.unwrap();
    bus.publish_all((1..=3).map(numbered)).await.unwrap();
    while failing.tally().dead_lettered < 3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (handler, tries) = until_the_store_works(20);
    let retried = bus.retry_dead_letters("inbox").handle(handler).await.unwrap();
    let tally = retried.finished().await.unwrap();
    assert_eq!((tally.acknowledged, tries.load(Ordering::SeqCst)), (3, 23));
    failing.shutdown().await.unwrap();
}

/// The first one's time was up, and with it that of all others.
#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_has_a_patience_of_its_own() {
    let (bus, begun) = (InProcessBus::new(), tokio::time::Instant::now());
    let handler = move |_: Vec<Received>| {
        let is_away = begun.elapsed() < Duration::from_mins(6);
        let away = || StoreError::backend("connect", io::Error::from(io::ErrorKind::ConnectionRefused));
        ready(if is_away { Err(HandlerError::from(away())) } else { Ok(()) })
    };
    let running = bus.subscribe("many").handle_batches(10, handler).await.unwrap();
    bus.publish_all((1..=3).map(numbered)).await.unwrap();
    tokio::time::sleep(Duration::from_mins(8)).await;
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered), (2, 1));
}

/// Each message had one failure less to live, once its batch had met the trouble.
#[tokio::test(start_paused = true)]
async fn the_trouble_of_a_store_costs_no_message_of_a_batch_a_retry() {
    let (bus, calls) = (InProcessBus::new(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&calls);
    let handler = move |_: Vec<Received>| {
        // The batch and the first message find it away; the message then fails once.
        ready(match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(StoreError::backend("connect", io::Error::from(io::ErrorKind::ConnectionRefused)).into()),
            2 => Err(HandlerError::new("it fails once")),
            _ => Ok(()),
        })
    };
    let running = bus.subscribe("many").max_retries(1).handle_batches(10, handler).await.unwrap();
    bus.publish_all((1..=2).map(numbered)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let tally = running.shutdown().await.unwrap();
    assert_eq!((tally.acknowledged, tally.dead_lettered, calls.load(Ordering::SeqCst)), (2, 0, 5));
}

/// Nothing of a handler that never waits would be settled before the next ones have been handled as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_took_its_time_is_settled_before_the_next_is_handled() {
    const LONG: Duration = Duration::from_millis(10);
    let bus = InProcessBus::with_options(InProcessOptions::default().confirm_handled());
    let (queue, queued) = std::sync::mpsc::channel::<()>();
    let (confirm, confirmed) = std::sync::mpsc::channel::<()>();
    let inside = Mutex::new((queued, confirmed));
    // Blocks its thread, and so never waits.
    let running = bus.subscribe("busy").max_retries(0).handle(move |received: Received| {
        let (queued, confirmed) = &*inside.lock().unwrap();
        ready(match &received.payload()[..] {
            b"0" => queued.recv().map_err(HandlerError::from),
            b"1" => {
                let begun = Instant::now();
                while begun.elapsed() < LONG {
                    std::hint::spin_loop();
                }
                Ok(())
            }
            _ => confirmed.recv_timeout(Duration::from_secs(20)).map_err(HandlerError::from),
        })
    });
    let running = running.await.unwrap();
    // Seldom has the lane only one of the two that follow, which is settled anyway.
    for _ in 0..10 {
        let published = [0, 1, 2].map(|number| {
            let bus = bus.clone();
            Box::pin(async move { bus.publish(numbered(number)).await })
        });
        let [mut first, mut second, mut third] = published;
        for publication in [&mut first, &mut second, &mut third] {
            assert!(futures_util::poll!(publication).is_pending());
        }
        queue.send(()).unwrap();
        second.await.unwrap();
        confirm.send(()).unwrap();
        third.await.unwrap();
        first.await.unwrap();
        assert_eq!(running.tally().dead_lettered, 0, "it waited in vain");
    }
    running.shutdown().await.unwrap();
}

/// No batch was larger than what may be in flight.
#[tokio::test]
async fn a_batch_is_as_large_as_it_was_asked_to_be() {
    let (bus, permits) = (InProcessBus::new(), Arc::new(Semaphore::new(0)));
    let (tell, mut sizes) = mpsc::unbounded_channel();
    let counting = {
        let permits = Arc::clone(&permits);
        move |batch: Vec<Received>| {
            let (told, permits) = (tell.send(batch.len()), Arc::clone(&permits));
            async move {
                permits.acquire().await?.forget();
                Ok::<_, HandlerError>(told?)
            }
        }
    };
    let running = bus.subscribe("many").prefetch(1).handle_batches(500, counting).await.unwrap();
    bus.publish(numbered(0)).await.unwrap();
    assert_eq!(sizes.recv().await, Some(1));
    bus.publish_all((1..=499).map(numbered)).await.unwrap();
    permits.add_permits(500);
    let mut largest = 0;
    let mut left = 499;
    while left > 0 {
        let size = sizes.recv().await.unwrap();
        (largest, left) = (largest.max(size), left - size);
    }
    assert!(largest > 256, "{largest}");
    running.shutdown().await.unwrap();
}
