//! Eventsource beside the least work possible and beside its peers, in one run. See the README for the commands.

pub mod calls;
pub mod cqrs;
pub mod orders;
pub mod peer;
pub mod raw;
pub mod sample;
pub mod scratch;
pub mod table;
