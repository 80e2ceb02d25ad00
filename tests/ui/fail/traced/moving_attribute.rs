#![allow(unused)]

use eventsource_runtime::traced;

struct Text(String);

impl Text {
    fn into_length(self) -> usize {
        self.0.len()
    }
}

#[traced(attributes("length" = text.into_length()))]
fn send(text: Text) {}

fn main() {}
