//! The suites that every adapter has to pass, run on each of ours.

mod broken;
mod memory;
mod own_store;
mod sqlite;
