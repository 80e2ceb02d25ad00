//! Functions that tell faults from refusals, of a generic type, and of a trait.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug)]
struct Failure<T>(T);

impl<T> Failure<T> {
    fn is_fault(&self) -> bool {
        true
    }
}

impl<T> std::fmt::Display for Failure<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("failed")
    }
}

impl<T: std::fmt::Debug> std::error::Error for Failure<T> {}

trait Fault {
    fn is_fault(&self) -> bool;
}

impl Fault for Failure<u16> {
    fn is_fault(&self) -> bool {
        self.0 > 1
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

#[derive(Aggregate, Default)]
#[aggregate(id = u8, error = Failure<u8>, fault = Failure::<u8>::is_fault, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u8, error = Failure<u16>, fault = <Failure<u16> as Fault>::is_fault, events(Placed))]
struct Bill;

impl Apply<Placed> for Bill {
    fn apply(&mut self, _: Placed) {}
}

pub(super) fn main() {
    assert!(Order::is_fault(&Failure(1)));
    assert!(Bill::is_fault(&Failure(2)) && !Bill::is_fault(&Failure(1)));
}
