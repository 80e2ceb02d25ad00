#![allow(unused)]

use eventsource_runtime::traced;

struct Parts {
    text: String,
}

#[traced]
fn moved(text: String) -> String {
    drop(text);
    text //~
}

#[traced]
async fn moved_later(text: String) -> String {
    drop(text);
    text //~
}

#[traced]
fn not_mut(text: String) -> String {
    text.push('a'); //~
    text
}

#[traced]
async fn not_mut_later(text: String) -> String {
    text.push('a'); //~
    text
}

#[traced]
fn copied(length: usize) -> usize {
    length += 1; //~
    length
}

#[traced(record("length" = text.len()))]
fn lent(text: String) -> usize {
    text.push('a'); //~
    1
}

impl Parts {
    #[traced]
    fn of_self(&self) {
        self.text.push('a'); //~
    }

    #[traced]
    async fn of_self_later(&self) {
        self.text.push('a'); //~
    }
}

fn main() {}
