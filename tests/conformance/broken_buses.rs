//! The suite of buses notices what is wrong: for each case a bus that fails it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, InProcess, InProcessBus, Intake, Message,
    PublishError, Published, Settle, Traced, header,
};
use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::testing::suite::event_bus as suite;

use super::broken::{Said, verdict};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ForgetsTimes,
    DropsTheMalformed,
    OneGroupForAll,
    DelaysTheFirst,
    LeavingEndsAll,
    HoldsBackTheLast,
    HasOneType,
    WaitsForHandlers,
    NeverStops,
    AcknowledgesAtOnce,
    ParksNothing,
    RefusesLetters,
    ReplaysMessages,
    ParksOnce,
}

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
    ended: AtomicBool,
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
        let is_malformed =
            |message: &Message| message.headers().text(header::TRACEPARENT).is_some_and(|text| text.contains("zz"));
        let kept =
            messages.into_iter().filter(|message| self.flaw != Flaw::DropsTheMalformed || !is_malformed(message));
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
        match self.flaw {
            Flaw::OneGroupForAll => intake.group = "one".into(),
            Flaw::ReplaysMessages => intake.dead_letters = false,
            _ => {}
        }
        let inner = self.inner.subscribe(intake).await?;
        Ok(Member { bus: self.clone(), inner, held: VecDeque::new(), taken: 0, only: None })
    }
}

type Inner = <InProcess as EventBus>::Consumer;
type InnerSettle = <Inner as Consumer>::Settle;

struct Member {
    bus: Flawed,
    inner: Inner,
    held: VecDeque<Delivery<Settling>>,
    taken: usize,
    only: Option<String>,
}

impl Member {
    async fn take(&mut self) -> Result<Option<Delivery<Settling>>, BusError> {
        let Some(delivery) = self.inner.next().await? else { return Ok(None) };
        self.taken += 1;
        self.bus.state.unsettled.fetch_add(1, Ordering::SeqCst);
        let Delivery { message, lane, redelivered, sent_at, source, settle } = delivery;
        let mut settle = Settling { bus: self.bus.clone(), inner: Some(settle) };
        if self.bus.flaw == Flaw::AcknowledgesAtOnce
            && let Some(settled) = settle.inner.take()
        {
            settled.ack().await?;
        }
        Ok(Some(Delivery { message, lane, redelivered, sent_at, source, settle }))
    }

    /// Whether a delivery is kept back for now.
    fn holds_back(&self) -> bool {
        match self.bus.flaw {
            Flaw::DelaysTheFirst => self.taken == 1,
            Flaw::HoldsBackTheLast => self.held.is_empty(),
            _ => false,
        }
    }
}

impl Consumer for Member {
    type Settle = Settling;

    async fn next(&mut self) -> Result<Option<Delivery<Settling>>, BusError> {
        loop {
            if self.bus.flaw == Flaw::DelaysTheFirst && self.taken > 40 && !self.held.is_empty() {
                return Ok(self.held.pop_front());
            }
            let Some(delivery) = self.take().await? else { return Ok(None) };
            if self.bus.state.ended.load(Ordering::SeqCst) {
                return Ok(None);
            }
            if self.bus.flaw == Flaw::HasOneType {
                let name = delivery.message.event_type().unwrap_or_default().to_owned();
                if *self.only.get_or_insert_with(|| name.clone()) != name {
                    delivery.settle.ack().await?;
                    continue;
                }
            }
            if self.holds_back() {
                self.held.push_back(delivery);
                continue;
            }
            if self.bus.flaw == Flaw::HoldsBackTheLast {
                self.held.push_back(delivery);
                return Ok(self.held.pop_front());
            }
            return Ok(Some(delivery));
        }
    }

    fn stop(&mut self) {
        match self.bus.flaw {
            Flaw::NeverStops => return,
            Flaw::LeavingEndsAll => self.bus.state.ended.store(true, Ordering::SeqCst),
            _ => {}
        }
        self.inner.stop();
    }
}

struct Settling {
    bus: Flawed,
    inner: Option<InnerSettle>,
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.bus.state.unsettled.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Settle for Settling {
    async fn ack(mut self) -> Result<(), BusError> {
        match self.inner.take() {
            Some(inner) => inner.ack().await,
            None => Ok(()),
        }
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        let earlier = self.bus.state.parked.fetch_add(1, Ordering::SeqCst);
        match self.bus.flaw {
            Flaw::ParksNothing => return Ok(()),
            Flaw::ParksOnce if earlier > 0 => return Ok(()),
            Flaw::RefusesLetters => return Err(BusError::Closed),
            _ => {}
        }
        match &self.inner {
            Some(inner) => inner.park(message).await,
            None => Ok(()),
        }
    }
}

eventsource_runtime::event_bus_suite!(without_a_flaw, || async { with(Flaw::None) });

/// What a case says of a bus with the flaw that it is there for.
macro_rules! each_case_says {
    ($($case:ident: $flaw:ident $said:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                let said = verdict(|| suite::$case(async || with(Flaw::$flaw)));
                assert_eq!(said, Said::$said, "of {:?}", Flaw::$flaw);
            }
        )*
    };
}

each_case_says! {
    a_message_comes_as_it_was_sent: ForgetsTimes No,
    what_is_malformed_comes_all_the_same: DropsTheMalformed Nothing,
    every_group_gets_every_message: OneGroupForAll Nothing,
    messages_of_a_stream_keep_their_order: DelaysTheFirst No,
    members_of_a_group_share_its_messages: LeavingEndsAll Nothing,
    a_batch_is_what_is_there: HoldsBackTheLast Nothing,
    only_the_wanted_events_are_handled: HasOneType Nothing,
    a_handler_may_publish_to_itself: WaitsForHandlers Nothing,
    shutting_down_finishes_what_was_taken: NeverStops Nothing,
    what_was_not_settled_comes_again: AcknowledgesAtOnce Nothing,
    a_message_that_fails_is_tried_again: HoldsBackTheLast Nothing,
    a_message_that_keeps_failing_is_a_dead_letter: ParksNothing No,
    a_panic_is_a_failure: HoldsBackTheLast Nothing,
    a_failing_batch_costs_the_messages_at_fault_alone: RefusesLetters Nothing,
    dead_letters_are_tried_again_when_asked: ReplaysMessages Nothing,
    a_dead_letter_that_fails_again_goes_back: ParksOnce No,
}
