//! What every adapter has to do, as suites of tests; ours run them, and so may yours.

pub mod event_bus;
pub mod event_store;
