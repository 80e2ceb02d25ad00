//! The same orders as in `eventsource-bench`.

#[path = "../../src/cqrs.rs"]
pub mod cqrs;
#[path = "../../src/orders.rs"]
pub mod orders;
