//! The suites that every adapter has to pass, run on each of ours.

mod memory;
mod own_store;
mod sqlite;
