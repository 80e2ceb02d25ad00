//! What stands beside a sensitive field may be named, and what only looks like one.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed {}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Order;

impl Apply<Placed> for Order {
    fn apply(&mut self, _: Placed) {}
}

#[derive(Command, Clone, Debug, Deserialize)]
#[command(aggregate = Order)]
struct Place(#[command(id)] u64, #[command(sensitive)] String, u8, u8);

#[traced(attributes(first, last))]
fn behind_dots(Place(first, .., last): &Place) -> u64 {
    first + u64::from(*last)
}

/// Counted from the first field, `lines` would be the sensitive one.
#[traced(attributes(lines))]
fn second_of_those_that_are_named(Place(.., lines, _): Place) -> u8 {
    lines
}

#[traced(attributes("id" = place.0, "more" = *more))]
fn in_tuples_and_lists((.., [place, ..]): (u8, &[Place; 2]), (more, _): &(u8, u8)) -> u64 {
    place.0 + u64::from(*more)
}

#[traced(record("id" = result.0))]
fn returned() -> Place {
    Place(1, "4111".to_owned(), 2, 3)
}

#[traced(record("id" = result.as_ref().unwrap().0, "error" = ?result.as_ref().err(), "is.placed" = result.is_ok()))]
fn tried() -> Result<Place, std::fmt::Error> {
    Ok(returned())
}

/// The argument of that name is not what `record` sees.
#[traced(record("result" = ?result))]
fn called_result(result: Place) -> u8 {
    result.2
}

/// A closure may name what is of no concern: another field, a type of its own, a type that is to be inferred.
#[traced(attributes(
    "ids" = places.iter().fold(0, |all, place: &Place| all + place.0),
    "own" = {
        struct Own(u64, u64);
        let second = |own: &Own| own.0 + own.1;
        second(&Own(1, places[0].0))
    },
    "inferred" = { let first: Option<&_> = places.first(); first.map(|place| place.0) },
    "given" = { let other = |given: &T| -> u64 { given.clone().into() }; other(&given) }
))]
fn by_closures<T: Clone + Into<u64>>(places: &[Place], given: T) -> u64 {
    places.iter().map(|place| place.0).sum::<u64>() + given.into()
}

pub(super) fn main() {
    assert_eq!(by_closures(&[returned()], 1_u64), 2);
    assert_eq!(behind_dots(&returned()), 4);
    assert_eq!(second_of_those_that_are_named(returned()), 2);
    assert_eq!(in_tuples_and_lists((1, &[returned(), returned()]), &(1, 2)), 2);
    assert_eq!(tried().map(called_result), Ok(2));
}
