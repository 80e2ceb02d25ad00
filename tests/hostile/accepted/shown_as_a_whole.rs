//! What may be shown as a whole, of types that the compiler must find out for itself.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Mutex;

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Debug, Serialize, Deserialize)]
struct Placed {}

#[derive(Event, Debug, Serialize, Deserialize)]
struct Paid(#[event(sensitive)] String);

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed), derive(Debug))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

/// Its enum's `Debug` says the event's name alone.
#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Paid))]
struct Bill;

impl Apply<Paid> for Bill {
    fn apply(&mut self, _: Paid) {}
}

#[traced(attributes("one" = ?Some(1), "half" = %0.5, "list" = ?[1, 2], "pair" = ?(1, "a"), "sum" = %{ 1 + 2 }))]
fn of_numbers() {}

#[traced(attributes(?any, "opaque" = ?opaque, "all" = ?list, "first" = ?list.first(), "part" = ?text[..1]))]
fn of_any_type<T: Debug>(any: &T, opaque: impl Debug, list: &[T], text: &str) {}

#[traced(attributes("names" = ?names.lock().unwrap(), "cell" = ?cell.borrow(), "map" = ?map.values()))]
fn behind_guards(names: &Mutex<Vec<String>>, cell: &RefCell<u8>, map: &HashMap<u8, Placed>) {}

#[traced(attributes("order" = ?order, "bill" = ?bill))]
fn of_events(order: &OrderEvent, bill: &[BillEvent]) {}

#[traced(record("value" = ?result.as_ref().ok(), "error" = ?result.as_ref().err(), "all" = ?result))]
async fn of_what_is_returned() -> Result<Vec<u8>, std::fmt::Error> {
    Ok(Vec::new())
}

pub(super) fn main() {
    of_numbers();
    of_any_type(&1, "a", &[2], "text");
    behind_guards(&Mutex::default(), &RefCell::new(1), &HashMap::new());
    of_events(&Placed {}.into(), &[Paid(String::new()).into()]);
    drop(of_what_is_returned());
}
