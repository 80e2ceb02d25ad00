//! The suites that every adapter has to pass, run on each of ours.

mod broken;
mod broken_buses;
mod broken_projections;
mod broken_snapshots;
mod in_process;
mod interleaved;
mod load;
mod memory;
mod own_bus;
mod own_store;
mod postgres;
mod rabbitmq;
mod sqlite;
