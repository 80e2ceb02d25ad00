//! What a manager decides, without a store.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::StreamId;
use eventsource_runtime::testing::{process, recorded};
use eventsource_tests::shipping::{
    AskPayment, CancelOrder, OrderCancelled, OrderPlaced, ParcelError, PaymentError, PaymentTaken, RefundPayment,
    SendParcel, Shipping, ShippingBegun, ShippingPaid, TIME_TO_PAY, TimeToPayOver,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const ORDER: Uuid = Uuid::from_u128(7);

fn order() -> StreamId {
    StreamId::new("Order", ORDER)
}

fn placed(address: &str) -> OrderPlaced {
    OrderPlaced { customer: "Ada".into(), cents: 4200, address: address.into() }
}

fn begun(address: &str) -> Reaction<Shipping> {
    Reaction::new()
        .record(ShippingBegun { address: address.into() })
        .dispatch(AskPayment { order_id: ORDER, customer: "Ada".into(), cents: 4200 })
        .record_after(TIME_TO_PAY, TimeToPayOver {})
}

fn send(address: &str) -> SendParcel {
    SendParcel { parcel: ORDER.simple().to_string(), order_id: ORDER, address: address.into() }
}

fn said<R>(body: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(body)).err().expect("it panics");
    *panic.downcast::<String>().expect("with a text")
}

#[test]
fn a_process_goes_on_from_event_to_event() {
    let process = process::<Shipping>()
        .when(order(), placed("the Moon"))
        .then(begun("the Moon"))
        .when(StreamId::new("Payment", ORDER), PaymentTaken { cents: 4200 })
        .then(Reaction::new().record(ShippingPaid {}).dispatch(send("the Moon")))
        .when_rejected(send("the Moon"), ParcelError::Unreachable)
        .then(
            Reaction::new()
                .dispatch(RefundPayment { order_id: ORDER })
                .dispatch(CancelOrder { order_id: ORDER, reason: "Unreachable".into() }),
        )
        // It was paid in time.
        .when_due()
        .then(());
    assert_eq!(*process.state(), Shipping { address: "the Moon".into(), is_paid: true, overdue: 1 });
}

#[test]
fn what_is_never_paid_is_due_at_its_time() {
    let unpaid = || process::<Shipping>().when(order(), placed("here")).then(begun("here"));
    let refused = AskPayment { order_id: ORDER, customer: "Ada".into(), cents: 4200 };
    unpaid()
        .when_rejected(refused, PaymentError::NoCredit)
        .then(CancelOrder { order_id: ORDER, reason: "NoCredit".into() });
    let late = unpaid().when_due();
    assert!(said(|| late.then(())).contains("+ dispatches CancelOrder"));
    assert_eq!(said(|| process::<Shipping>().when_due()), "`Shipping` has scheduled no event");
}

#[test]
fn another_reaction_is_shown_side_by_side() {
    let other = said(|| process::<Shipping>().when(order(), placed("here")).then(begun("there")));
    assert!(other.starts_with("`Shipping` reacted otherwise to OrderPlaced (- expected, + actual):"), "{other}");
    assert!(other.contains("  -   \"address\": \"there\"\n  +   \"address\": \"here\"\n"), "{other}");
    let elsewhere = StreamId::new("Order", Uuid::from_u128(8));
    let two = said(|| {
        let process = process::<Shipping>().when(order(), placed("here")).then(begun("here"));
        process.when(elsewhere, placed("here"))
    });
    assert!(two.starts_with("`OrderPlaced` belongs to the process `00000000-0000-0000-0000-000000000008`"), "{two}");
    let unknown = said(|| process::<Shipping>().when(order(), ShippingPaid {}));
    assert_eq!(unknown, "`Shipping` has no method for `ShippingPaid`");
    let unreadable = process::<Shipping>().when(StreamId::new("Order", "seven"), placed("here")).then_failed();
    assert!(unreadable.cause().is::<uuid::Error>());
}

#[derive(Event, Serialize, Deserialize)]
struct Stepped {
    number: u32,
}

/// Each step is followed by the next.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Stepped))]
struct Walk {
    steps: u32,
}

impl Apply<Stepped> for Walk {
    fn apply(&mut self, _: Stepped) {
        self.steps += 1;
    }
}

/// Its minutes are needed to read it, and not written.
#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Walk)]
struct Rest {
    #[command(id)]
    walk: Uuid,
    #[serde(skip_serializing)]
    minutes: u32,
}

#[command_handler]
impl Walk {
    fn rest(&self, command: Rest) -> Result<Option<Stepped>, Infallible> {
        Ok((command.minutes == 0).then_some(Stepped { number: self.steps + 1 }))
    }
}

#[process_manager]
impl Walk {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Reaction<Self> {
        self.on()
    }

    fn stepped(&self, _: &Recorded<Stepped>) -> Reaction<Self> {
        self.on()
    }

    fn cancelled(&self, _: &Recorded<OrderCancelled>) -> Rest {
        rest()
    }
}

impl Walk {
    fn on(&self) -> Reaction<Self> {
        step(self.steps + 1)
    }
}

fn step(number: u32) -> Reaction<Walk> {
    Reaction::new().record(Stepped { number })
}

fn rest() -> Rest {
    Rest { walk: ORDER, minutes: 5 }
}

/// A runner reads the whole process before it reacts: the method saw a state here that it never sees there.
#[test]
fn an_event_of_the_process_itself_is_applied_once_before_its_method_sees_it() {
    let own = || StreamId::new("Walk", ORDER);
    let walk = process::<Walk>()
        .when(order(), placed("here"))
        .then(step(1))
        // It was applied when it was recorded.
        .when(own(), Stepped { number: 1 })
        .then(step(2))
        // A command has led to this one.
        .when(own(), Stepped { number: 7 })
        .then(step(4))
        .when(own(), Stepped { number: 2 })
        .then(step(5));
    assert_eq!(walk.state().steps, 5);
    process::<Walk>().when(own(), Stepped { number: 1 }).then(step(2));
}

/// As a build with debug assertions finds out when it is written.
#[test]
fn a_command_that_is_not_read_back_fails_its_test() {
    let cancelled = OrderCancelled { reason: "NoCredit".into() };
    let failed = process::<Walk>().when(order(), cancelled).then_failed();
    let unread = "command `Rest` cannot be read back from JSON";
    assert!(failed.cause().to_string().starts_with(unread), "{}", failed.cause());
    let expected = said(|| process::<Walk>().when(order(), placed("here")).then(rest()));
    assert!(expected.starts_with(&format!("the expected reaction: {unread}")), "{expected}");
}

#[test]
fn an_event_for_a_method_is_as_it_would_be_read() {
    let event = recorded(order(), placed("here"));
    assert_eq!((event.aggregate_id(), event.version().get(), event.position().get()), (&*ORDER.to_string(), 1, 1));
    assert_eq!(event.address, "here");
}
