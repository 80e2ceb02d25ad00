#![allow(unused)]

use std::collections::HashMap;
use std::sync::Mutex;

use eventsource_runtime::{Event, traced};
use serde::{Deserialize, Serialize};

#[derive(Event, Clone, Serialize, Deserialize)]
struct Paid {
    #[event(sensitive)]
    card: String,
}

#[traced(attributes("card" = paid.as_ref().map(|it| it.card.as_str())))] //~
fn by_closure(paid: Option<Paid>) {}

#[traced(attributes("card" = match paid { Some(Paid { card }) => card.as_str(), None => "" }))] //~
fn by_match(paid: &Option<Paid>) {}

#[traced(attributes("card" = if let [first, ..] = paid { first.card.as_str() } else { "" }))] //~
fn by_if_let(paid: &[Paid]) {}

#[traced(record("card" = result.as_ref().ok().map(|it| it.card.as_str())))] //~
fn of_result() -> Result<Paid, std::fmt::Error> {
    Err(std::fmt::Error)
}

#[traced(attributes("length" = paid.lock().unwrap().card.len()))] //~
fn in_a_lock(paid: &Mutex<Paid>) {}

#[traced(attributes("card" = paid["x"].card.as_str()))] //~
fn in_a_map(paid: &HashMap<String, Paid>) {}

fn main() {}
