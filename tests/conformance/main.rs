//! The suites that every adapter has to pass, run on each of ours.

mod ages;
mod broken;
mod broken_buses;
mod broken_projections;
mod broken_snapshots;
mod certificates;
mod in_process;
mod interleaved;
mod kafka;
mod lags;
mod letters;
mod listed;
mod load;
mod lost;
mod memory;
mod messages;
mod operating;
mod own_bus;
mod own_store;
mod postgres;
mod python;
mod rabbitmq;
mod sqlite;

use std::sync::Arc;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{NewEvent, Origin, StreamId};
use uuid::Uuid;

/// A stream that no other test has.
fn a_stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7())
}

/// Events whose payloads are their ordinals.
fn events(count: usize) -> Vec<NewEvent> {
    let origin = Arc::new(Origin::at(Timestamp::from_micros(1)));
    let event = |ordinal: usize| NewEvent {
        id: Uuid::now_v7(),
        event_type: "Placed",
        schema_version: 1,
        payload: ordinal.to_string().into(),
        origin: Arc::clone(&origin),
    };
    (0..count).map(event).collect()
}
