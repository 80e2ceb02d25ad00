#![allow(unused)]

use eventsource_runtime::traced;

#[traced(attributes("later" = later.await))]
async fn send(later: std::future::Ready<u8>) {
    later.await;
}

fn main() {}
