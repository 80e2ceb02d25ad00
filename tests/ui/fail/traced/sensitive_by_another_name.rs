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

#[traced(attributes("length" = { let mut all = 0; for one in paid { all += one.card.len(); } all }))] //~
fn by_for(paid: &[Paid]) {}

#[traced(attributes("length" = paid.iter().fold(0, |all, it| all + it.card.len())))] //~
fn by_fold(paid: &[Paid]) {}

#[traced(attributes("longest" = paid.iter().max_by_key(|it| it.card.len()).is_some()))] //~
fn by_the_largest(paid: &[Paid]) {}

#[traced(attributes("last" = paid.iter().skip(1).find(|_| true).map_or(0, |it| it.card.len())))] //~
fn behind_others(paid: &[Paid]) {}

#[traced(attributes("length" = { let length = |it: &Paid| it.card.len(); length(&paid) }))] //~
fn by_written_type(paid: Paid) {}

#[traced(attributes("length" = { let it: &Paid = std::convert::identity(&paid); it.card.len() }))] //~
fn by_written_type_of_a_call(paid: Paid) {}

#[traced(attributes("length" = match (&paid, 1) { (it, _) => it.card.len() }))] //~
fn by_pair(paid: Paid) {}

fn main() {}
