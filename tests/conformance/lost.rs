//! Messages that go to another member while they are handled, or that cannot be acknowledged, dead letters that cannot
//! be kept, a bus that panics, and a group that is slow to leave.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, HandlerError, Intake, Message, PublishError,
    Published, Received, Settle, Subscription, SubscriptionBuilder, SubscriptionStopped, Tally, Traced,
};
use eventsource_runtime::store::StreamId;
use eventsource_runtime::telemetry::names;
use eventsource_runtime::testing;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::{Recorder, gauge};
use eventsource_tests::registry::Measured;
use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::InMemoryLogExporter;
use tokio::sync::Semaphore;

use crate::messages::{in_time, message, ordinal};

/// What becomes of a message whose dead letter is refused, or of one that is done with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    /// It is taken away.
    #[default]
    Lost,
    /// Its letter can never be kept.
    Unkeepable,
    /// The bus panics when it is settled, if it is one of the first two.
    Panic,
    /// The bus panics when it is taken.
    PanicTaken,
    /// The first cannot be acknowledged.
    Unacknowledged,
}

#[derive(Default)]
struct State {
    fault: Fault,
    /// How many messages there are beside the first.
    more: usize,
    is_lost: AtomicBool,
    is_left: AtomicBool,
    parked: AtomicUsize,
    acknowledged: AtomicUsize,
    dropped: AtomicUsize,
}

/// A bus that has a message or some, with a fault. Nobody can leave it but who met its panic.
#[derive(Clone, Default)]
struct Fickle(Arc<State>);

impl Fickle {
    fn with(fault: Fault) -> Self {
        Self(Arc::new(State { fault, ..State::default() }))
    }
}

impl EventBus for Fickle {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        BusInfo::in_process()
    }

    fn destination(&self, _: &Message) -> Destination {
        Destination::new("orders")
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        messages.iter().map(|_| Err(PublishError::Closed)).collect()
    }

    async fn subscribe(&self, _: Intake) -> Result<Member, BusError> {
        let stream = StreamId::new("Order", 1);
        let messages = (0..=self.0.more).map(|number| message(&stream, number)).collect();
        Ok(Member { state: Arc::clone(&self.0), messages, is_stopped: false })
    }
}

struct Member {
    state: Arc<State>,
    messages: VecDeque<Message>,
    is_stopped: bool,
}

impl Consumer for Member {
    type Settle = Settling;

    async fn next(&mut self) -> Result<Option<Delivery<Settling>>, BusError> {
        if self.is_stopped {
            return Ok(None);
        }
        assert_ne!(self.state.fault, Fault::PanicTaken, "as it must");
        let Some(message) = self.messages.pop_front() else { return pending().await };
        let (source, number) = (Destination::new("orders"), ordinal(&message));
        let settle = Settling { state: Arc::clone(&self.state), number };
        let mut delivery = Delivery::new(message, source, settle);
        delivery.lane = number as u64;
        Ok(Some(delivery))
    }

    fn stop(&mut self) {
        self.is_stopped = true;
    }

    async fn leave(self) {
        if !matches!(self.state.fault, Fault::Panic | Fault::PanicTaken) {
            pending::<()>().await;
        }
        self.state.is_left.store(true, Ordering::SeqCst);
    }
}

struct Settling {
    state: Arc<State>,
    number: usize,
}

impl Settle for Settling {
    fn is_lost(&self) -> bool {
        self.state.is_lost.load(Ordering::SeqCst)
    }

    async fn ack(self) -> Result<(), BusError> {
        assert!(self.state.fault != Fault::Panic || self.number >= 2, "as it must");
        if self.state.fault == Fault::Unacknowledged && self.number == 0 {
            return Err(BusError::Closed);
        }
        self.state.acknowledged.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn park(&self, _: &Message) -> Result<(), BusError> {
        self.state.parked.fetch_add(1, Ordering::SeqCst);
        if self.state.fault == Fault::Unkeepable {
            return Err(BusError::unkeepable(PublishError::Closed));
        }
        self.state.is_lost.store(true, Ordering::SeqCst);
        Err(BusError::Closed)
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.state.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until the delivery is not under way any more.
async fn let_go(state: &State) {
    in_time(async {
        while state.dropped.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[test]
fn what_goes_to_another_member_at_its_last_attempt_is_no_dead_letter() {
    testing::run(async {
        let bus = Fickle::default();
        let state = Arc::clone(&bus.0);
        let taken_away = Arc::clone(&state);
        let handler = move |_: Received| {
            taken_away.is_lost.store(true, Ordering::SeqCst);
            async { Err::<(), _>(HandlerError::new("refused").permanent()) }
        };
        let running = Traced::over(bus).subscribe("one").handle(handler).await.unwrap();
        let_go(&state).await;
        assert_eq!(state.parked.load(Ordering::SeqCst), 0);
        assert_eq!(state.acknowledged.load(Ordering::SeqCst), 0);
        assert_eq!(running.tally().dead_lettered, 0);
    });
}

/// It counted as acknowledged. Within one thread a lane counts before others see what it has settled.
#[tokio::test]
async fn what_could_not_be_acknowledged_does_not_count_as_acknowledged() {
    let bus = Fickle(Arc::new(State { fault: Fault::Unacknowledged, more: 2, ..State::default() }));
    let state = Arc::clone(&bus.0);
    let running = Traced::over(bus).subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
    in_time(async {
        while state.dropped.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((state.acknowledged.load(Ordering::SeqCst), running.tally().acknowledged), (2, 2));
}

/// Has a message fail for good: what was told of dead letters, and the tally.
async fn refused(bus: Fickle) -> (Vec<String>, Tally) {
    told_of_letters(bus, |bus| bus.subscribe("one")).await
}

async fn told_of_letters(
    bus: Fickle,
    subscribe: impl FnOnce(Traced<Fickle>) -> SubscriptionBuilder<Fickle>,
) -> (Vec<String>, Tally) {
    let (recorder, metrics) = Recorder::measured();
    let work = async {
        let state = Arc::clone(&bus.0);
        let handler = async |_: Received| Err::<(), _>(HandlerError::new("refused").permanent());
        let running = subscribe(Traced::over(bus)).handle(handler).await.unwrap();
        let_go(&state).await;
        recorder.flush().await;
        running.tally()
    };
    let tally = recorder.run(Box::pin(work)).await;
    let told = Measured::all(&metrics).into_iter().filter(|point| point.name == names::EVENTSOURCE_DEAD_LETTERS);
    (told.map(|point| point.said(names::ERROR_TYPE)).collect(), tally)
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_kept_is_let_go_when_its_message_goes_to_another_member() {
    let (bus, (log, _guard)) = (Fickle::default(), Log::of_thread());
    let state = Arc::clone(&bus.0);
    let (told, tally) = refused(bus).await;
    log.hears("eventsource.bus.dead_letter_waits").await;
    assert_eq!(state.parked.load(Ordering::SeqCst), 1);
    assert_eq!(state.acknowledged.load(Ordering::SeqCst), 0);
    assert_eq!(tally.dead_lettered, 0);
    assert_eq!(told, [""; 0], "it is none");
}

#[test]
fn a_dead_letter_that_can_never_be_kept_is_told_as_such() {
    testing::run(async {
        let bus = Fickle::with(Fault::Unkeepable);
        let state = Arc::clone(&bus.0);
        assert_eq!(refused(bus).await.0, ["unkeepable"]);
        assert_eq!(state.acknowledged.load(Ordering::SeqCst), 1, "it is done with");
    });
}

/// It was settled without a word, and where a bus keeps what is acknowledged, as Kafka does, it was gone.
#[tokio::test]
async fn a_letter_that_is_passed_over_and_can_not_be_put_back_is_told() {
    let others = |bus: Traced<Fickle>| bus.retry_dead_letters("one").event_types(["NobodysEvent"]);
    let (told, tally) = told_of_letters(Fickle::with(Fault::Unkeepable), others).await;
    assert_eq!((told, tally.unkeepable, tally.dead_lettered), (vec!["unkeepable".to_owned()], 1, 0));
}

/// Has a hundred messages go to another member behind a handler that was slow, and lets `then` do something: how many
/// were told in each line. On a clock that goes on when all wait for it.
async fn told_of_a_hundred(then: impl AsyncFnOnce(Subscription)) -> Vec<AnyValue> {
    let bus = Fickle(Arc::new(State { more: 100, ..State::default() }));
    let state = Arc::clone(&bus.0);
    let logs = InMemoryLogExporter::default();
    let (recorder, (log, _guard)) = (Recorder::with(|builder| builder.log_exporter(logs.clone())), Log::of_thread());
    let taken_away = Arc::clone(&state);
    let handler = move |_: Received| {
        taken_away.is_lost.store(true, Ordering::SeqCst);
        std::future::ready(Ok::<_, HandlerError>(()))
    };
    let work = async {
        let running = Traced::over(bus).subscribe("one").handle(handler).await.unwrap();
        while state.dropped.load(Ordering::SeqCst) < 101 {
            tokio::task::yield_now().await;
        }
        then(running).await;
    };
    recorder.run(Box::pin(work)).await;
    recorder.flush().await;
    log.hears("eventsource.bus.unsettled").await;
    assert_eq!(state.acknowledged.load(Ordering::SeqCst), 1);
    let logs = logs.get_emitted_logs().unwrap();
    let messages = logs.iter().map(|told| {
        assert_eq!(told.record.event_name(), Some("eventsource.bus.unsettled"));
        told.record.attributes_iter().find(|(key, _)| key.as_str() == "eventsource.message.count").unwrap().1.clone()
    });
    messages.collect()
}

#[tokio::test(start_paused = true)]
async fn messages_that_go_to_another_member_together_are_told_in_one_line() {
    let told = told_of_a_hundred(async |_running| tokio::time::sleep(Duration::from_secs(5)).await).await;
    assert_eq!(told, [AnyValue::Int(100)]);
}

#[tokio::test(start_paused = true)]
async fn they_are_told_by_a_subscription_that_is_cut_off_as_well() {
    let told = told_of_a_hundred(async |running| {
        running.shutdown_within(Duration::ZERO).await.unwrap();
    });
    assert_eq!(told.await, [AnyValue::Int(100)]);
}

/// It would take messages for ever that nobody handles.
#[test]
fn a_bus_that_panics_while_it_settles_ends_the_subscription() {
    testing::run(async {
        let bus = Fickle::with(Fault::Panic);
        let state = Arc::clone(&bus.0);
        let running = Traced::over(bus).subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
        let stopped = in_time(running.finished()).await.unwrap_err();
        assert!(matches!(stopped, SubscriptionStopped::Failed { source: BusError::Backend { .. }, .. }), "{stopped:?}");
        assert_eq!(state.dropped.load(Ordering::SeqCst), 1, "its message comes again");
    });
}

/// Its lag vanished as after a shutdown, and no metric told of it.
#[tokio::test]
async fn a_subscription_that_has_failed_is_told_until_it_is_dropped() {
    let (recorder, metrics) = Recorder::measured();
    let told = async || {
        recorder.flush().await;
        gauge(&metrics, names::EVENTSOURCE_CONSUMER_RUNNING)
    };
    recorder
        .run(async {
            let fine =
                Traced::over(Fickle::default()).subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
            for fault in [Fault::Panic, Fault::PanicTaken] {
                assert_eq!(told().await, Some(1));
                let bus = Traced::over(Fickle::with(fault));
                let running = bus.subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
                in_time(running.finished()).await.unwrap_err();
                assert_eq!(told().await, Some(0), "of two members, one is gone");
            }
            assert_eq!(told().await, Some(1));
            let _ = fine.shutdown_within(Duration::ZERO).await;
            // Its task may take a moment to end.
            in_time(async {
                while told().await.is_some() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
            let quiet = Traced::over(Fickle::default()).enable_metrics(false).subscribe("one");
            let quiet = quiet.handle(async |_: Received| Ok(())).await.unwrap();
            assert_eq!(told().await, None);
            drop(quiet);
        })
        .await;
}

#[test]
fn what_others_have_taken_is_handled_before_such_a_subscription_ends() {
    testing::run(async {
        let bus = Fickle(Arc::new(State { fault: Fault::Panic, more: 2, ..State::default() }));
        let state = Arc::clone(&bus.0);
        let gate = Arc::new(Semaphore::new(0));
        let closed = Arc::clone(&gate);
        let handler = move |received: Received| {
            let gate = (ordinal(&received) == 2).then(|| Arc::clone(&closed));
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await?.forget();
                }
                Ok::<_, HandlerError>(())
            }
        };
        let running = Traced::over(bus).subscribe("one").lanes(3).handle(handler).await.unwrap();
        in_time(async {
            while state.dropped.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gate.add_permits(1);
        in_time(running.finished()).await.unwrap_err();
        assert_eq!(state.acknowledged.load(Ordering::SeqCst), 1);
        assert!(state.is_left.load(Ordering::SeqCst), "the group was left");
    });
}

#[test]
fn a_shut_down_whose_time_is_up_while_the_group_is_left_has_left_nothing() {
    testing::run(async {
        let bus = Fickle::default();
        let state = Arc::clone(&bus.0);
        let running = Traced::over(bus).subscribe("one").handle(async |_: Received| Ok(())).await.unwrap();
        let_go(&state).await;
        in_time(async {
            while running.tally().acknowledged == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        let tally = running.shutdown_within(Duration::ZERO).await.unwrap();
        assert_eq!(tally.acknowledged, 1);
    });
}
