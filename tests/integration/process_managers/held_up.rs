//! Managers whose store, or whose turn, comes late.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use eventsource_runtime::projection::{Claim, OnFailure, Partition};
use eventsource_runtime::store::{NewEvent, Origin, StreamId};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::hooked::{Asked, Gate, Hooked};
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use eventsource_tests::shipping::PaymentTaken;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::starts::pass_time;
use super::*;
use crate::in_time;

/// The follower's last lease, and whether it asks for another.
#[derive(Default)]
struct Leases {
    last: Mutex<Option<(Partition, Uuid)>>,
    changed: Notify,
}

impl Leases {
    fn asked(&self, asked: Asked) {
        let Asked::Lease(partition, token) = asked else { return };
        // Timers ask where to begin, under a token that is nobody's.
        if token.is_nil() {
            return;
        }
        let before = self.last.lock().unwrap().replace((partition, token));
        if before.is_some_and(|(_, before)| before != token) {
            self.changed.notify_one();
        }
    }
}

/// It dispatched what another may have been told of since: when it began counted as when it had its lease.
#[tokio::test]
async fn a_manager_that_was_held_up_beyond_its_lease_dispatches_nothing() {
    held_up_beyond_its_lease(false).await;
}

/// What was decided before is read, and nothing has to be noted first.
#[tokio::test]
async fn nor_does_it_dispatch_what_an_earlier_one_has_decided_on() {
    held_up_beyond_its_lease(true).await;
}

async fn held_up_beyond_its_lease(is_decided: bool) {
    let (store, gate, leases) = (MemoryStore::new(), Arc::new(Gate::default()), Arc::new(Leases::default()));
    let bus = commands(&store);
    let placed = bus.dispatch(place(Uuid::now_v7(), "Ada", "1 Analytical Row")).await.unwrap();
    if is_decided {
        let without_payments = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
        let lame = ProcessManagerRunner::new(store.clone(), without_payments).process_manager::<Shipping>();
        lame.max_retries(0).spawn().wait_for(placed.position).await.unwrap_err();
    }
    let held_up = Hooked::new(&store, {
        let (gate, leases) = (Arc::clone(&gate), Arc::clone(&leases));
        move |asked| {
            leases.asked(asked);
            let gate = Arc::clone(&gate);
            async move {
                if matches!(asked, Asked::Feed { found: true, all_types: false }) {
                    gate.pass().await;
                }
            }
        }
    });
    let managers = runner(&held_up).lease(Duration::from_millis(20)).spawn();
    gate.reached().await;
    let (partition, _) = leases.last.lock().unwrap().unwrap();
    let another = Claim::new(Uuid::now_v7(), "another", Duration::from_mins(1));
    while store.lease_projection(partition, another.clone()).await.unwrap().taken.is_some() {
        tokio::task::yield_now().await;
    }
    gate.open();
    in_time(leases.changed.notified()).await;
    assert_eq!(names(&store, "Payment").await, Vec::<String>::new());
    // It is its turn again.
    store.lease_projection(partition, another.given_up()).await.unwrap();
    in_time(quiet(&managers, &store)).await;
    assert_eq!(names(&store, "Payment").await, ["PaymentAsked"]);
    managers.shutdown().await.unwrap();
}

/// Each was given all the time that the shutdown had, one after the other.
#[tokio::test(start_paused = true)]
async fn timers_whose_store_does_not_answer_hold_no_shutdown_up() {
    let store = Hooked::new(&MemoryStore::new(), async |asked| {
        if matches!(asked, Asked::Feed { all_types: true, .. }) {
            std::future::pending::<()>().await;
        }
    });
    let managers = runner(&store).spawn();
    quiet(&managers, &store).await;
    let begun = Instant::now();
    managers.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// Waits until the order is off, since it was not paid in time.
async fn runs_out_of_time<S: ProjectionStore + SnapshotStore>(store: &S, clock: &Arc<Moved>) {
    let managers = runner(store).with_clock(clock.clone()).spawn();
    let order = Uuid::now_v7();
    commands(store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    in_time(quiet(&managers, store)).await;
    clock.pass(TIME_TO_PAY);
    in_time(async {
        while status(store, order).await == OrderStatus::Placed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(status(store, order).await, OrderStatus::Cancelled("NotPaidInTime".into()));
    managers.shutdown().await.unwrap();
}

/// The timer's task had ended, and nobody knew; then it went on, and only the log told of that.
#[tokio::test]
async fn a_store_that_panics_ends_no_timer_and_its_retries_are_counted() {
    let (recorder, metrics) = Recorder::measured();
    let panics = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&panics);
    let store = Hooked::new(&MemoryStore::new(), move |asked| {
        let left = Arc::clone(&left);
        async move {
            if matches!(asked, Asked::Feed { all_types: true, .. }) {
                let is_over =
                    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err();
                assert!(is_over, "the store panics, as it was told to");
            }
        }
    });
    recorder.run(runs_out_of_time(&store, &Arc::default())).await;
    assert_eq!(panics.load(Ordering::SeqCst), 0);
    recorder.flush().await;
    let retries = Measured::last(&metrics).into_iter().filter(|point| point.name == "eventsource.retries");
    let told = retries.map(|point| (point.said("eventsource.component"), point.said("error.type"), point.count));
    assert_eq!(told.collect::<Vec<_>>(), [("process_timer".to_owned(), "panic".to_owned(), 3)]);
}

/// Puts an event off in the stream of a process, with that payload.
async fn put_off(store: &impl EventStore, clock: &Moved, payload: &str) {
    let scheduled = NewEvent {
        id: Uuid::now_v7(),
        event_type: "process_manager.scheduled",
        schema_version: 1,
        payload: payload.to_owned().into(),
        origin: Arc::new(Origin::at(clock.now())),
    };
    let another = StreamId::new("Shipping", Uuid::now_v7());
    store.append(&another, ExpectedVersion::NoStream, vec![scheduled]).await.unwrap();
}

/// It was read again and again, and nothing behind it.
#[tokio::test]
async fn a_time_out_that_cannot_be_read_holds_up_no_other() {
    let (log, _guard) = Log::of_thread();
    let (store, clock) = (MemoryStore::new(), Arc::new(Moved::default()));
    put_off(&store, &clock, r#"{"due": "soon"}"#).await;
    runs_out_of_time(&store, &clock).await;
    assert!(log.says("eventsource.process_manager.timeout_left", "eventsource.position", 1));
}

/// It was tried again each second for as long as the program ran, and why was not told.
async fn told_once_by_each_start(store: &Faulty, event_type: &str, reason: &str) -> Arc<Moved> {
    let ((log, _guard), recorder) = (Log::of_thread(), Recorder::with(|builder| builder.record_error_text(true)));
    let clock = Arc::new(Moved::default());
    let due = format!(r#"{{"due": 0, "event_type": "{event_type}", "schema_version": 1, "payload": {{}}}}"#);
    put_off(store, &clock, &due).await;
    // So much that a start would not read it for nothing.
    pass_time(store).await;
    let stream = store.read_all(Position::START, &Filter::all(), 1).await.unwrap().events.remove(0).stream.clone();
    for starts in 1..=2 {
        let start = async {
            let managers = runner(store).with_clock(clock.clone()).spawn();
            tokio::time::sleep(Duration::from_mins(1)).await;
            managers.shutdown().await.unwrap();
        };
        recorder.run(start).await;
        let told = log.names_of("eventsource::projection");
        assert_eq!(told, vec!["eventsource.process_manager.timeout_left"; starts]);
    }
    log.hears_of("eventsource.process_manager.timeout_left", "eventsource.projection.name", "Shipping").await;
    log.hears_of("eventsource.process_manager.timeout_left", "eventsource.event.type", event_type).await;
    log.hears_of("eventsource.process_manager.timeout_left", "eventsource.stream.id", stream.as_str()).await;
    assert!(log.says("eventsource.process_manager.timeout_left", "eventsource.position", 1));
    assert!(log.texts_of("exception.message").iter().any(|text| text.contains(reason)));
    clock
}

#[tokio::test(start_paused = true)]
async fn a_time_out_whose_type_is_gone_is_told_once_by_each_start() {
    let store = Faulty::default();
    let clock = told_once_by_each_start(&store, "Gone", "the process manager has no event of that name").await;
    runs_out_of_time(&store, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_out_that_the_store_refuses_is_told_once_by_each_start() {
    let store = Faulty::default();
    store.refuse_appends_of(Some(TimeToPayOver::NAME));
    let clock = told_once_by_each_start(&store, TimeToPayOver::NAME, "as it was told to").await;
    assert!(!names(&store, "Shipping").await.contains(&TimeToPayOver::NAME.to_owned()));

    store.refuse_appends_of(None);
    let managers = runner(&store).with_clock(clock).spawn();
    in_time(async {
        while !names(&store, "Shipping").await.contains(&TimeToPayOver::NAME.to_owned()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    managers.shutdown().await.unwrap();
}

/// A runner saw a letter of the stream, which was settled before it had set the next event aside: that one was behind
/// nothing, and nobody came for it.
#[tokio::test]
async fn an_event_that_is_set_aside_behind_nothing_is_reacted_to() {
    let (store, gate) = (MemoryStore::new(), Arc::new(Gate::default()));
    let order = Uuid::now_v7();
    let without_parcels = CommandBus::builder()
        .aggregate(Repository::<Order, _>::new(store.clone()))
        .aggregate(Repository::<Payment, _>::new(store.clone()))
        .build();
    let lame = ProcessManagerRunner::new(store.clone(), without_parcels).process_manager::<Shipping>();
    let managers = lame.max_retries(0).on_failure(OnFailure::DeadLetter).spawn();
    commands(&store).dispatch(place(order, "Ada", "1 Analytical Row")).await.unwrap();
    quiet(&managers, &store).await;
    commands(&store).dispatch(SettlePayment { order_id: order }).await.unwrap();
    quiet(&managers, &store).await;
    managers.shutdown().await.unwrap();
    let again = Repository::<Payment, _>::new(store.clone());
    again.append(&order, ExpectedVersion::Any, PaymentTaken { cents: 1 }).await.unwrap();

    let held_up = Hooked::new(&store, {
        let gate = Arc::clone(&gate);
        move |asked| {
            let gate = Arc::clone(&gate);
            async move {
                if asked == (Asked::Letters { found: true }) {
                    gate.pass().await;
                }
            }
        }
    });
    let managers = runner(&held_up).spawn();
    gate.reached().await;
    let letters = runner(&store).dead_letters::<Shipping>();
    let stream = letters.list(Position::START, 10).await.unwrap().remove(0).stream;
    assert_eq!(letters.retry(&stream).await.unwrap(), 1);
    gate.open();
    in_time(quiet(&managers, &store)).await;
    assert_eq!(letters.list(Position::START, 10).await.unwrap(), []);
    assert_eq!(names(&store, "Parcel").await, ["ParcelSent", "ParcelSent"]);
    managers.shutdown().await.unwrap();
}
