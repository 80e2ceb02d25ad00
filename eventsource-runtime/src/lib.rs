#![forbid(unsafe_code)]
// The page's links lead to docs.rs; the first definition of one counts.
#![cfg_attr(
    all(doc, not(doctest)),
    doc = "[tutorial]: guide::tutorial\n[modeling]: guide::modeling\n[telemetry]: guide::telemetry\n\
           [operating]: guide::operating\n[guarantees]: guide::guarantees\n[architecture]: guide::architecture\n\
           [snapshots]: snapshot\n[event]: derive@Event\n[process_manager]: macro@process_manager\n\
           [record_after]: dispatch::Reaction::record_after\n[relay]: bus::Relay\n[bus]: mod@bus\n\
           [dead_letters]: projection::DeadLetters\n[retry_dead_letters]: bus::Traced::retry_dead_letters\n\
           [rebuild]: projection::ProjectionRunner::rebuild\n\
           [rebuild_aside]: projection::ProjectionRunner::rebuild_aside\n\
           [command_id]: dispatch::Context::command_id\n"
)]
#![cfg_attr(
    all(doc, not(doctest), feature = "testing"),
    doc = "[given]: fn@testing::given\n[process]: fn@testing::process\n[stored_names]: testing::StoredNames\n"
)]
#![cfg_attr(
    all(doc, not(doctest), feature = "tracing-bridge"),
    doc = "[tracing_layer]: telemetry::Telemetry::tracing_layer\n"
)]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bus;
pub mod clock;
pub mod dispatch;
mod domain;
#[cfg(any(feature = "postgres", feature = "rabbitmq"))]
mod driven;
pub mod error;
mod fnv;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod poll;
pub mod prelude;
pub mod projection;
mod repository;
mod room;
pub mod snapshot;
pub mod store;
mod sync;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod timer;

#[doc(hidden)]
pub mod __private;

pub use domain::*;
pub use eventsource_macros::{
    Aggregate, Command, Event, Query, command_handler, process_manager, projection, query_handler, traced,
};
pub use repository::{Loaded, Repository};
