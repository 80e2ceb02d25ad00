//! Projections and process managers as one may write them.

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Projection, StepResult};
use eventsource_runtime::store::{Sqlite, SqliteTransaction};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Placed {
    a: u64,
    b: u64,
}

struct Rows {
    on: bool,
}
#[projection(enable_tracing = self.on)]
impl Rows {
    #[projection(setup)]
    fn create(&self, _: &SqliteTransaction<'_>) {}
    fn placed(&self, event: &Recorded<Placed>, tx: &SqliteTransaction) -> StepResult {
        Ok(())
    }
}
fn is_projection<P: Projection<Sqlite>>() {}

trait Followed {
    type Event;
}
struct Others;
impl Followed for Others {
    type Event = Placed;
}
#[projection]
impl Others {
    fn placed(&self, event: &Recorded<<Self as Followed>::Event>) {}
}

macro_rules! rows {
    ($name:ident, $on:expr) => {
        struct $name(bool);
        #[projection(enable_tracing = $on)]
        impl $name {
            fn placed(&self, _: &Recorded<Placed>) {}
        }
    };
}
rows!(Generated, self.0);

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Process;
impl Apply<Placed> for Process {
    fn apply(&mut self, _: Placed) {}
}
#[process_manager]
impl Process {
    #[process_manager(id = event.a + event.b)]
    fn placed(&self, event: &Recorded<Placed>) {}
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Placed))]
struct Another;
impl Apply<Placed> for Another {
    fn apply(&mut self, _: Placed) {}
}
impl Followed for Another {
    type Event = Placed;
}
#[process_manager]
impl Another {
    fn placed(&self, event: &Recorded<<Self as Followed>::Event>) {}
}

#[test]
fn run() {
    is_projection::<Rows>();
    is_projection::<Generated>();
    is_projection::<Others>();
}
