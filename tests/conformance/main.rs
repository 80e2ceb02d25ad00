//! The suites that every adapter has to pass, run on each of ours.

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
