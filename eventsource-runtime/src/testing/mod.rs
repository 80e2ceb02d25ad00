//! Tests for what is written with, and for, this crate.

mod history;
pub mod suite;

/// Runs a test on a runtime of its own with several threads.
///
/// # Panics
/// The test panics, or the runtime cannot be started.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(test);
}
