//! Time-outs on a store that has lost its last commits, as one may that took another's place.

use std::sync::atomic::AtomicUsize;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{NewEvent, Origin, SqliteStore};
use eventsource_tests::hooked::{Asked, Hooked};
use eventsource_tests::scratch::Scratch;

use super::starts::written_down;
use super::*;
use crate::projecting::anew::open;

/// How many events the stream of a process has while it waits, and when its time was up.
const BEGUN: usize = 4;
const OVER: usize = 7;
const HALF: Duration = TIME_TO_PAY.checked_div(2).unwrap();

struct Shop {
    scratch: Scratch,
    store: SqliteStore,
    clock: Arc<Moved>,
}

impl Shop {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let shop = Self { store: open(&scratch.file()).await, scratch, clock: Arc::default() };
        // A timer that finds no end of the feed knows none.
        shop.fill(1).await;
        shop
    }

    fn start(&self) -> Projections {
        runner(&self.store).with_clock(self.clock.clone()).lease(Duration::from_millis(200)).spawn()
    }

    /// The names of the events of an order's process.
    async fn story(&self, order: Uuid) -> Vec<String> {
        let events = self.store.read_stream(&StreamId::new("Shipping", order), Version::START, 100).await.unwrap();
        events.iter().map(|event| event.event_type.to_string()).collect()
    }

    async fn comes_to(&self, order: Uuid, events: usize) {
        let comes = async {
            while self.story(order).await.len() < events {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), comes).await.expect("it happens in time");
    }

    /// Places an order, and waits until its time has begun.
    async fn place(&self) -> Uuid {
        let order = Uuid::now_v7();
        commands(&self.store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
        self.comes_to(order, BEGUN).await;
        order
    }

    /// Waits until the timer has read the feed and recorded what is due: behind all that, an order's time is up.
    async fn is_read(&self) {
        self.clock.back(TIME_TO_PAY);
        let order = self.place().await;
        self.clock.pass(TIME_TO_PAY);
        self.comes_to(order, OVER).await;
    }

    /// Appends what is none of the manager's.
    async fn fill(&self, count: usize) {
        let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
        let event = || NewEvent {
            id: Uuid::now_v7(),
            event_type: "Strange",
            schema_version: 1,
            payload: "{}".into(),
            origin: Arc::clone(&origin),
        };
        let events = (0..count).map(|_| event()).collect();
        self.store.append(&StreamId::new("Other", Uuid::now_v7()), ExpectedVersion::Any, events).await.unwrap();
    }

    /// Loses what was committed after a position, with what the checkpoints say of it. Its managers have seen all that
    /// by then: a store in a file does not know itself that it may end before where it ended.
    async fn lose(&self, managers: &Projections, after: Position) {
        quiet(managers, &self.store).await;
        let raw = rusqlite::Connection::open(self.scratch.file()).unwrap();
        raw.busy_timeout(Duration::from_secs(5)).unwrap();
        raw.execute_batch(&format!(
            "BEGIN IMMEDIATE;
             DROP TRIGGER events_are_not_deleted;
             DELETE FROM events WHERE position > {after};
             UPDATE projection_partitions SET position = 0;
             COMMIT"
        ))
        .unwrap();
    }
}

/// It was recorded in the stream of a process that was not there, and that one's command dispatched.
#[tokio::test]
async fn what_was_put_off_and_lost_is_recorded_for_nobody() {
    let shop = Shop::new().await;
    let managers = shop.start();
    let kept = shop.place().await;
    let end = shop.store.head().await.unwrap();
    let lost = shop.place().await;
    shop.is_read().await;
    shop.lose(&managers, end).await;
    // Now the feed is longer than it was.
    shop.fill(50).await;
    shop.clock.pass(TIME_TO_PAY);
    shop.comes_to(kept, OVER).await;
    shop.is_read().await;
    assert_eq!(shop.story(lost).await, [""; 0]);
    managers.shutdown().await.unwrap();
}

/// The checkpoint was moved past it, so that no start found it any more.
#[tokio::test]
async fn what_comes_in_the_place_of_what_was_read_is_there_after_a_restart_too() {
    let shop = Shop::new().await;
    let managers = shop.start();
    shop.is_read().await;
    shop.fill(1100).await;
    let end = shop.store.head().await.unwrap().get();
    written_down(&shop.store, usize::try_from(end).unwrap()).await;
    shop.lose(&managers, Position::new(end - 50)).await;
    let order = shop.place().await;
    shop.fill(2000).await;
    // The checkpoint is moved right after the first of them was recorded.
    shop.is_read().await;
    shop.is_read().await;
    managers.shutdown().await.unwrap();
    shop.clock.pass(TIME_TO_PAY);
    let managers = shop.start();
    shop.comes_to(order, OVER).await;
    managers.shutdown().await.unwrap();
}

/// As long as something waited, nobody looked at what was before the end that was known, whatever came there.
async fn makes_up_for_what_was_lost(after_a_restart: bool) {
    let shop = Shop::new().await;
    let mut managers = shop.start();
    let over = shop.place().await;
    shop.clock.pass(HALF);
    let waits = shop.place().await;
    let end = shop.store.head().await.unwrap();
    shop.clock.pass(HALF);
    shop.comes_to(over, OVER).await;
    if after_a_restart {
        managers.shutdown().await.unwrap();
        // The end that this one knows is lost.
        managers = shop.start();
    }
    shop.lose(&managers, end).await;
    let new = shop.place().await;
    shop.fill(50).await;
    shop.comes_to(over, OVER).await;
    assert_eq!((shop.story(waits).await.len(), shop.story(new).await.len()), (BEGUN, BEGUN));
    shop.clock.pass(TIME_TO_PAY);
    shop.comes_to(waits, OVER).await;
    shop.comes_to(new, OVER).await;
    managers.shutdown().await.unwrap();
    let fired = names(&shop.store, "Shipping").await.into_iter().filter(|name| name == TimeToPayOver::NAME).count();
    assert_eq!(fired, 3, "one for each order that is there");
}

#[tokio::test]
async fn what_was_lost_is_made_up_for_and_what_came_in_its_place_is_seen() {
    makes_up_for_what_was_lost(true).await;
}

/// It counted as recorded for good when that was acknowledged.
#[tokio::test]
async fn what_was_recorded_and_lost_before_anybody_read_it_is_recorded_again() {
    makes_up_for_what_was_lost(false).await;
}

/// A reaction that is made again has the ids that it had, and may have its positions.
#[tokio::test]
async fn what_is_put_off_again_waits_for_its_new_time() {
    let shop = Shop::new().await;
    let managers = shop.start();
    let order = shop.place().await;
    shop.is_read().await;
    shop.clock.pass(HALF);
    shop.lose(&managers, Position::new(2)).await;
    shop.comes_to(order, BEGUN).await;
    shop.fill(50).await;
    shop.clock.pass(HALF);
    shop.is_read().await;
    assert_eq!(shop.story(order).await.len(), BEGUN);
    shop.clock.pass(HALF);
    shop.comes_to(order, OVER).await;
    managers.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn to_look_whether_something_was_lost_is_no_load() {
    const A_MINUTE: Duration = Duration::from_mins(1);
    let (clock, reads) = (Arc::new(Moved::default()), Arc::new(AtomicUsize::new(0)));
    let store = Hooked::new(&MemoryStore::new(), {
        let reads = Arc::clone(&reads);
        move |asked| {
            let is_timers = matches!(asked, Asked::Feed { all_types: true, .. });
            reads.fetch_add(usize::from(is_timers), Ordering::SeqCst);
            async {}
        }
    });
    let managers = runner(&store).with_clock(clock.clone()).spawn();
    let order = Uuid::now_v7();
    commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    let read_in_a_minute = async || {
        let before = reads.load(Ordering::SeqCst);
        tokio::time::sleep(A_MINUTE).await;
        reads.load(Ordering::SeqCst) - before
    };
    let while_it_waits = read_in_a_minute().await;
    clock.pass(TIME_TO_PAY);
    while status(&store, order).await == OrderStatus::Placed {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let when_it_was_recorded = read_in_a_minute().await;
    assert!(while_it_waits <= 30 && when_it_was_recorded <= 30, "{while_it_waits}, {when_it_was_recorded}");
    managers.shutdown().await.unwrap();
    let fired = names(&store, "Shipping").await.into_iter().filter(|name| name == TimeToPayOver::NAME).count();
    assert_eq!(fired, 1);
}
