//! Tests for what is written with, and for, this crate.
//!
//! For applications: [`given`] tests what aggregates decide, and [`TraceRecorder`] what is traced. For stores of one's own
//! there are [suites](suite). Nothing here is global, so that tests run side by side under any test runner.

mod difference;
mod given;
mod history;
pub mod suite;
#[cfg(feature = "otel")]
mod trace;

pub use given::{Given, When, given};
#[cfg(feature = "otel")]
pub use trace::TraceRecorder;

/// Runs a test on a runtime of its own with several threads.
///
/// # Panics
/// The test panics, or the runtime cannot be started.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(test);
}
