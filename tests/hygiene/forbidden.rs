//! What an expansion does not need, a crate may forbid to allow.

#![forbid(unused_imports, unused_variables)]

use eventsource_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// A door was opened.
#[derive(Debug, Event, Serialize, Deserialize)]
pub struct Opened {
    /// With which key.
    #[event(sensitive)]
    pub key: String,
}

/// A door.
#[derive(Debug, Default, Aggregate)]
#[aggregate(id = u64, events(Opened))]
pub struct Door {
    /// How often it was opened.
    pub times: u64,
}

impl Apply<Opened> for Door {
    fn apply(&mut self, _: Opened) {
        self.times += 1;
    }
}

/// Opens a door.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Door)]
pub struct Open {
    /// Which.
    #[command(id)]
    pub door: u64,
    /// With which key.
    pub key: String,
}

#[command_handler]
impl Door {
    #[traced(attributes("door.times" = self.times), enable_tracing = self.times == 0)]
    fn open(&self, Open { key, .. }: Open, (): &()) -> Result<Opened, std::convert::Infallible> {
        Ok(Opened { key })
    }
}

/// How often it was opened.
#[derive(Clone, Debug, Query, Deserialize)]
#[query(output = Vec<u64>)]
pub struct Times {
    /// Which.
    #[query(attribute)]
    pub door: u64,
}

/// The house.
#[derive(Debug)]
pub struct House;

#[query_handler]
impl House {
    fn times(&self, query: Times) -> Result<Vec<u64>, std::convert::Infallible> {
        Ok(vec![query.door])
    }
}

#[process_manager]
impl Door {
    #[process_manager(id = 7)]
    fn opened(&self, event: &Recorded<Opened>) -> Option<Open> {
        (self.times > 1).then(|| Open { door: 7, key: event.key.clone() })
    }
}

/// Knocks.
///
/// # Errors
/// Nobody is there.
#[traced(attributes("door.times" = door.times), record("answered" = result.is_ok()))]
pub fn knock(door: &Door) -> Result<(), std::fmt::Error> {
    if door.times > 0 { Ok(()) } else { Err(std::fmt::Error) }
}

/// Waits.
#[traced(attributes("door.times" = door.times))]
pub async fn wait(door: &Door) -> u64 {
    std::future::ready(door.times).await
}
