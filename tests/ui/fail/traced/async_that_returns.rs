#![allow(unused)]

use eventsource_runtime::traced;

#[traced] //~
async fn serve(is_up: bool) -> ! { //~
    if is_up {
        loop {}
    }
}

fn main() {}
