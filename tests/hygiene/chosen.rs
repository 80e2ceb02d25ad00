//! What is said of the user's types, of which the generated enum of events is made: who may see them, and how they are
//! called.

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// Parcels, which others use, and whose events they do not see.
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(id = u64, events(Put, Taken))]
pub struct Parcels {
    count: u64,
}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
struct Put {}

#[derive(Clone, Debug, Event, Serialize, Deserialize)]
pub(crate) struct Taken {}

impl Apply<Put> for Parcels {
    fn apply(&mut self, _: Put) {
        self.count += 1;
    }
}

impl Apply<Taken> for Parcels {
    fn apply(&mut self, _: Taken) {
        self.count -= 1;
    }
}

/// A meter, called as it is elsewhere.
#[allow(non_camel_case_types, reason = "it is called so elsewhere")]
#[derive(Clone, Debug, Default, Aggregate)]
#[aggregate(id = u64, events(meter_read))]
pub struct meter {
    /// How far it is.
    pub count: u64,
}

/// It was read.
#[allow(non_camel_case_types, reason = "it is called so elsewhere")]
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
pub struct meter_read {
    /// How far it is.
    pub count: u64,
}

impl Apply<meter_read> for meter {
    fn apply(&mut self, event: meter_read) {
        self.count = event.count;
    }
}

#[test]
fn events_of_all_kinds_are_applied() {
    let mut parcels = Parcels::default();
    parcels.evolve(Put {}.into());
    parcels.evolve(Put {}.into());
    parcels.evolve(Taken {}.into());
    let mut meter = meter::default();
    meter.evolve(meter_read { count: 7 }.into());
    assert_eq!((parcels.count, meter.count), (1, 7));
}
