#![allow(unused)]

use eventsource_runtime::traced;

#[traced]
async fn serve(is_up: bool) -> ! {
    if is_up { //~
        loop {}
    }
}

#[traced]
async fn stop(is_up: bool) -> ! { //~
    if is_up {
        return;
    }
    loop {}
}

fn main() {}
