#![allow(unused)]

use eventsource_runtime::{Event, Recorded, projection};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows;

#[projection]
impl Rows {
    #[projection(setup)]
    async fn create(&self) { //~
        let local = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(local);
    }

    async fn placed(&self, event: &Recorded<Placed>) { //~
        let local = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(local);
    }
}

fn main() {}
