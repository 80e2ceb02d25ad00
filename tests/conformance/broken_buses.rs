//! The suite of buses notices what is wrong: for each case a bus that fails it, and no other.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, InProcess, InProcessBus, Intake, Message,
    PublishError, Published, Settle, Traced, header,
};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing::suite::event_bus as suite;

use super::broken::{Said, each_case_notices, names};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ForgetsTimes,
    DropsTheMalformed,
    OneGroupForAll,
    DelaysTheTenthStream,
    LeavingEndsAll,
    CutsLongBatches,
    HasOneType,
    WaitsForHandlers,
    NeverStops,
    GivesUpWhenItStops,
    KeepsWhatIsDropped,
    LosesTheSecondThatFails,
    LettersHaveNoContext,
    TripsBehindARetry,
    RefusesEarlyLetters,
    KeepsLetters,
    ParksOnce,
    EveryMemberGetsAll,
}

/// How many messages of one publication are kept where the others are not.
const LONG_BATCH: usize = 32;
/// How many others are taken before one that is delayed.
const DELAY: usize = 40;
/// How often it is asked whether a message is lost that succeeds at once, or when it is tried again twice.
const AT_ONCE: usize = 2;
const TWICE_AGAIN: usize = 4;

#[derive(Clone)]
struct Flawed {
    flaw: Flaw,
    inner: InProcess,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    unsettled: AtomicUsize,
    parked: AtomicUsize,
    joined: AtomicUsize,
    /// Up to which member all have to go.
    ended: AtomicUsize,
    /// The message that was settled last had to be tried again, twice.
    was_retried: AtomicBool,
}

fn with(flaw: Flaw) -> Traced<Flawed> {
    Traced::over(Flawed { flaw, inner: InProcessBus::new().inner().clone(), state: Arc::default() })
}

impl EventBus for Flawed {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        self.inner.info()
    }

    fn destination(&self, message: &Message) -> Destination {
        self.inner.destination(message)
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        while self.flaw == Flaw::WaitsForHandlers && self.state.unsettled.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
        let count = messages.len();
        let kept = if self.flaw == Flaw::CutsLongBatches { LONG_BATCH } else { count };
        let is_malformed =
            |message: &Message| message.headers().text(header::TRACEPARENT).is_some_and(|text| text.contains("zz"));
        let kept = messages.into_iter().take(kept);
        let kept = kept.filter(|message| self.flaw != Flaw::DropsTheMalformed || !is_malformed(message));
        let kept = kept.map(|message| match self.flaw {
            Flaw::ForgetsTimes => message.with_occurred_at(Timestamp::from_micros(0)),
            _ => message,
        });
        let mut results = self.inner.publish(kept.collect()).await;
        results.resize_with(count, || Ok(Published::default()));
        results
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        let mut intake = intake;
        let number = self.state.joined.fetch_add(1, Ordering::SeqCst) + 1;
        match self.flaw {
            Flaw::OneGroupForAll => intake.group = "one".into(),
            Flaw::EveryMemberGetsAll => intake.group = format!("{}-{number}", intake.group).into(),
            _ => {}
        }
        let of_letters = intake.dead_letters;
        let inner = self.inner.subscribe(intake).await?;
        Ok(Member {
            bus: self.clone(),
            inner,
            number,
            of_letters,
            has_stopped: Arc::default(),
            taken: 0,
            streams: HashSet::new(),
            held: None,
            only: None,
        })
    }
}

type Inner = <InProcess as EventBus>::Consumer;
type InnerSettle = <Inner as Consumer>::Settle;

struct Member {
    bus: Flawed,
    inner: Inner,
    number: usize,
    of_letters: bool,
    has_stopped: Arc<AtomicBool>,
    taken: usize,
    streams: HashSet<StreamId>,
    /// A delivery that is delayed, and when it was taken.
    held: Option<(usize, Delivery<Settling>)>,
    only: Option<String>,
}

impl Member {
    async fn take(&mut self) -> Result<Option<Delivery<Settling>>, BusError> {
        let Some(delivery) = self.inner.next().await? else { return Ok(None) };
        self.taken += 1;
        self.bus.state.unsettled.fetch_add(1, Ordering::SeqCst);
        Ok(Some(delivery.map(|inner| Settling {
            bus: self.bus.clone(),
            inner: Some(inner),
            ordinal: self.taken,
            is_letter: self.of_letters,
            is_parked: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            has_stopped: Arc::clone(&self.has_stopped),
        })))
    }

    /// Whether another member has left that takes this one along.
    fn is_ended(&self) -> bool {
        self.number <= self.bus.state.ended.load(Ordering::SeqCst) && !self.has_stopped.load(Ordering::SeqCst)
    }

    /// Whether a message is the first of the tenth stream.
    fn is_slow(&mut self, message: &Message) -> bool {
        let is_new = self.bus.flaw == Flaw::DelaysTheTenthStream
            && message.stream().is_some_and(|stream| self.streams.insert(stream.clone()));
        is_new && self.streams.len() == 10
    }
}

impl Consumer for Member {
    type Settle = Settling;

    async fn next(&mut self) -> Result<Option<Delivery<Settling>>, BusError> {
        loop {
            if let Some((_, delivery)) = self.held.take_if(|(at, _)| self.taken > *at + DELAY) {
                return Ok(Some(delivery));
            }
            let Some(delivery) = self.take().await? else { return Ok(None) };
            if self.is_ended() {
                return Ok(None);
            }
            if self.bus.flaw == Flaw::HasOneType {
                let name = delivery.message.event_type().unwrap_or_default().to_owned();
                if *self.only.get_or_insert_with(|| name.clone()) != name {
                    delivery.settle.ack().await?;
                    continue;
                }
            }
            if self.is_slow(&delivery.message) {
                self.held = Some((self.taken, delivery));
                continue;
            }
            return Ok(Some(delivery));
        }
    }

    fn stop(&mut self) {
        self.has_stopped.store(true, Ordering::SeqCst);
        match self.bus.flaw {
            Flaw::NeverStops => return,
            Flaw::LeavingEndsAll => {
                let joined = self.bus.state.joined.load(Ordering::SeqCst);
                self.bus.state.ended.store(joined, Ordering::SeqCst);
            }
            _ => {}
        }
        self.inner.stop();
    }
}

struct Settling {
    bus: Flawed,
    inner: Option<InnerSettle>,
    /// The how manieth it is that its member took.
    ordinal: usize,
    is_letter: bool,
    is_parked: AtomicBool,
    /// How often it was asked whether the message is lost.
    asked: AtomicUsize,
    has_stopped: Arc<AtomicBool>,
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.bus.state.unsettled.fetch_sub(1, Ordering::SeqCst);
        if self.bus.flaw == Flaw::KeepsWhatIsDropped {
            std::mem::forget(self.inner.take());
        }
    }
}

impl Settling {
    /// Fails where a message succeeds at once behind one that did not.
    fn trip(&self) {
        let (asked, is_parked) = (self.asked.load(Ordering::SeqCst), self.is_parked.load(Ordering::SeqCst));
        let is_retried = asked == TWICE_AGAIN && !is_parked;
        let was_retried = self.bus.state.was_retried.swap(is_retried, Ordering::SeqCst);
        assert!(self.bus.flaw != Flaw::TripsBehindARetry || !was_retried || asked > AT_ONCE, "as it must");
    }
}

impl Settle for Settling {
    fn is_lost(&self) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        match self.bus.flaw {
            Flaw::GivesUpWhenItStops => self.has_stopped.load(Ordering::SeqCst),
            Flaw::LosesTheSecondThatFails => self.ordinal == 2 && asked >= TWICE_AGAIN,
            _ => false,
        }
    }

    async fn ack(mut self) -> Result<(), BusError> {
        self.trip();
        let is_kept = self.is_letter && !self.is_parked.load(Ordering::SeqCst);
        match self.inner.take() {
            // Dropped, it is where it was.
            Some(_) if is_kept && self.bus.flaw == Flaw::KeepsLetters => Ok(()),
            Some(inner) => inner.ack().await,
            None => Ok(()),
        }
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        let earlier = self.bus.state.parked.fetch_add(1, Ordering::SeqCst);
        self.is_parked.store(true, Ordering::SeqCst);
        let mut message = message.clone();
        match self.bus.flaw {
            Flaw::ParksOnce if earlier > 0 => return Ok(()),
            Flaw::LettersHaveNoContext => message = message.with_trace_context(None),
            Flaw::RefusesEarlyLetters if attempts(&message) < 3 => return Err(BusError::Closed),
            _ => {}
        }
        match &self.inner {
            Some(inner) => inner.park(&message).await,
            None => Ok(()),
        }
    }
}

/// How often a letter was tried.
fn attempts(letter: &Message) -> u32 {
    letter.headers().text(header::DEAD_LETTER_ATTEMPTS).and_then(|attempts| attempts.parse().ok()).unwrap_or(0)
}

eventsource_runtime::event_bus_suite!(without_a_flaw, || async { with(Flaw::None) });

each_case_notices! {
    suite, with, [eventsource_runtime::event_bus_suite! { @cases [names] [] }];
    a_message_comes_as_it_was_sent: ForgetsTimes No,
    what_is_malformed_comes_all_the_same: DropsTheMalformed Nothing,
    every_group_gets_every_message: OneGroupForAll Nothing,
    messages_of_a_stream_keep_their_order: DelaysTheTenthStream No,
    members_of_a_group_share_its_messages: LeavingEndsAll Nothing,
    a_batch_is_what_is_there: CutsLongBatches Nothing,
    only_the_wanted_events_are_handled: HasOneType Nothing,
    a_handler_may_publish_to_itself: WaitsForHandlers Nothing,
    shutting_down_finishes_what_was_taken: GivesUpWhenItStops No,
    what_was_not_settled_comes_again: KeepsWhatIsDropped Nothing,
    a_message_that_fails_is_tried_again: LosesTheSecondThatFails No,
    a_message_that_keeps_failing_is_a_dead_letter: LettersHaveNoContext No,
    a_panic_is_a_failure: TripsBehindARetry No,
    a_failing_batch_costs_the_messages_at_fault_alone: RefusesEarlyLetters Nothing,
    dead_letters_are_tried_again_when_asked: KeepsLetters No,
    a_dead_letter_that_fails_again_goes_back: ParksOnce No,
}

/// To the other cases a shut-down whose time was up is one, where nothing was left to be done.
#[test]
fn a_bus_that_never_stops_goes_not_unnoticed() {
    let said = says_at_last("shutting_down_finishes_what_was_taken", Flaw::NeverStops, Said::Nothing);
    assert_eq!(said, Said::Nothing);
}

/// The case is there for a bus on which one that leaves takes the others along.
#[test]
fn a_bus_on_which_every_member_gets_all_goes_not_unnoticed() {
    let said = says_at_last("members_of_a_group_share_its_messages", Flaw::EveryMemberGetsAll, Said::No);
    assert_eq!(said, Said::No);
}
