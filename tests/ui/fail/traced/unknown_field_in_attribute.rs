#![allow(unused)]

use eventsource_runtime::traced;

#[derive(Debug)]
struct Order {
    customer: String,
}

#[traced(attributes("order.customer" = %order.custmer))] //~
fn place(order: &Order) {}

#[traced(attributes("order.both" = ?(order.custmer, 1)))] //~
fn pack(order: &Order) {}

fn main() {}
