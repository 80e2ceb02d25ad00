//! Tests for code that is written with, and for, this crate.
//!
//! For applications: [`given`](fn@given) tests what aggregates decide, with [`when`](Given::when), or with
//! [`when_async`](Given::when_async) if the handler awaits something; [`process`](fn@process) tests how processes
//! react, [`recorded`] makes events for a projection's methods, and [`TraceRecorder`] tests what is traced;
//! [`stored`](fn@stored) reads a payload as it was stored, through its upcasts, and [`StoredNames`] keeps renamed types
//! from losing what was stored. For your own stores and buses there are [suites](suite), to which
//! minor releases add cases. Nothing here is global, so that tests run in parallel under any test runner.

mod difference;
mod given;
mod history;
mod process;
mod stored;
mod stored_names;
pub mod suite;
#[cfg(feature = "otel")]
mod trace;

pub use given::{Given, When, given};
pub use process::{Process, Reacted, process, recorded};
pub use stored::stored;
pub use stored_names::StoredNames;
#[cfg(feature = "otel")]
pub use trace::TraceRecorder;

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use crate::sync::Mutex;

/// Longer than any test takes that finishes.
const STANDSTILL: Duration = Duration::from_mins(30);

/// Runs a test on a runtime of its own with several threads. A test that [skips](skip) itself passes.
///
/// # Panics
/// The test panics or takes half an hour, or the runtime cannot be started.
pub fn run(test: impl Future<Output = ()>) {
    // What runs a test is compiled once, rather than for each one's type.
    run_boxed(Box::pin(test));
}

fn run_boxed(test: Pin<Box<dyn Future<Output = ()> + '_>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    let in_time = async { tokio::time::timeout(STANDSTILL, test).await.expect("the test comes to an end") };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| runtime.block_on(in_time))) {
        // What it started on other threads may hang as well.
        runtime.shutdown_background();
        if !panic.is::<Skipped>() {
            resume_unwind(panic);
        }
    }
}

/// The payload with which a skipped test unwinds.
struct Skipped;

/// Ends a test that [`run`] runs because something that it needs is missing, such as a server. The reason is written to
/// stderr once per process, bypassing the harness, which hides what passing tests print.
///
/// ```should_panic
/// # use eventsource_runtime::testing::skip;
/// let server = std::env::var("SERVER").unwrap_or_else(|_| skip("there is no server; set SERVER"));
/// ```
pub fn skip(reason: &str) -> ! {
    static REASONS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if REASONS.lock().insert(reason.to_owned()) {
        // If nobody reads stderr, nobody misses it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    }
    // Not a panic, whose message would look like a failure.
    resume_unwind(Box::new(Skipped) as Box<dyn Any + Send>)
}
