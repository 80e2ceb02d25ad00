#![allow(unused)]

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::Backend;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed;

struct Rows<B>(std::marker::PhantomData<fn() -> B>);

#[projection]
impl<B: Backend + 'static> Rows<B> {
    fn placed(&self, event: &Recorded<Placed>, tx: &B::Transaction<'_>) {}
}

fn main() {}
