//! The same orders as in `eventsource-bench`, and how a benchmark asks for what is done with them.

#[path = "../../src/cqrs.rs"]
pub mod cqrs;
#[path = "../../src/orders.rs"]
pub mod orders;

use std::io::{self, BufRead};
use std::time::Duration;

/// Says `ready`, and answers each line with how many operations it came to and how many nanoseconds they took.
///
/// # Panics
/// Nobody listens any more.
pub fn answer(mut operate: impl FnMut(&str) -> (usize, Duration)) {
    println!("ready");
    for line in io::stdin().lock().lines() {
        let (operations, elapsed) = operate(&line.expect("a line"));
        println!("{operations} {}", elapsed.as_nanos());
    }
}
