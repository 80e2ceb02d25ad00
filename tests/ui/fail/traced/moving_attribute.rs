#![allow(unused)]

use eventsource_runtime::traced;

// The compiler says it of both closures that lead to the expression.
#[traced(attributes("bytes" = text.into_bytes().len()))] //~ 2
fn send(text: String) {}

fn main() {}
