//! The suites that every adapter has to pass, run on each of ours.

mod broken;
mod in_process;
mod broken_snapshots;
mod memory;
mod own_bus;
mod own_store;
mod sqlite;
