#![allow(unused)]

use eventsource_runtime::traced;

const NAME: &str = "mail.send";

#[traced(NAME)] //~
fn of_constant() {}

#[traced(concat!("mail", ".send"))] //~
fn of_macro() {}

#[traced(attributes("length" == 3))] //~
fn compared(text: String) {}

#[traced(attributes(length => text.len()))] //~
fn mapped(text: String) {}

#[traced(attributes(#[cfg(test)] "length" = 1))] //~
fn conditional(text: String) {}

fn main() {}
