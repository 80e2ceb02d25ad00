#![allow(unused)]

use eventsource_runtime::traced;

const LIMIT: u32 = 7;
struct Mail {
    pair: (u32, u32),
}

#[traced(attributes(message.len()))] //~
fn called(message: &str) {}

#[traced(attributes(message, %pair.0))] //~
fn numbered(message: &str, pair: (u32, u32)) {}

#[traced(attributes(crate::LIMIT))] //~
fn of_the_crate() {}

#[traced(attributes(?list[0], "size" = list.len()))] //~
fn indexed(list: &[u32]) {}

#[traced(attributes(format!("{text}")))] //~
fn of_a_macro(text: &str) {}

#[traced(record(result.is_ok()))] //~
fn recorded() -> Result<(), u32> {
    Ok(())
}

impl Mail {
    const N: u32 = 1;

    #[traced(attributes(Self::N))] //~
    fn of_the_type(&self) {}

    #[traced(attributes(self.pair.0))] //~
    fn of_a_field(&self) {}
}

fn main() {}
