#![allow(unused)]

use eventsource_runtime::traced;

trait Send {
    #[traced]
    fn send(&self);
}

fn main() {}
