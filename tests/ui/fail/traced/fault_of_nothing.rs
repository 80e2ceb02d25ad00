#![allow(unused)]

use eventsource_runtime::traced;

fn is_fault(error: &std::fmt::Error) -> bool {
    true
}

#[traced(fault = is_fault)] //~
fn nothing() {}

#[traced(fault = is_fault)] //~
fn never() -> ! {
    std::process::exit(1)
}

#[traced(fault = is_fault)] //~
fn all() -> impl Iterator<Item = u8> {
    [1].into_iter()
}

#[traced(fault = true)] //~
fn flag() -> Result<(), std::fmt::Error> {
    Ok(())
}

#[traced(fault(is_fault))] //~
fn list() -> Result<(), std::fmt::Error> {
    Ok(())
}

#[traced(fault)] //~
fn bare() -> Result<(), std::fmt::Error> {
    Ok(())
}

fn main() {}
