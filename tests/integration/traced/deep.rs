//! `#[traced]` on a function that calls itself.

use std::thread;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry;
use eventsource_tests::recorder::Recorder;

/// The stack of the threads that Rust and Tokio make.
const STACK: usize = 2 * 1024 * 1024;
const DEPTH: usize = 4000;

#[traced]
fn depth_of(left: usize) -> usize {
    if left == 0 { 0 } else { 1 + depth_of(left - 1) }
}

/// Each call takes its part of the stack, in a build without optimisation the most: at 6,000 it overflows.
#[test]
fn a_traced_function_may_call_itself_four_thousand_times_with_spans_and_without() {
    let dive = || {
        let recorder = Recorder::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let depths = runtime.block_on(recorder.run(async {
            let off =
                telemetry::span("off").options(|options| options.enable_tracing(false)).in_scope(|| depth_of(DEPTH));
            [off, depth_of(DEPTH)]
        }));
        assert_eq!((depths, recorder.spans().len(), recorder.open_spans()), ([DEPTH; 2], DEPTH + 1, 0));
    };
    thread::Builder::new().stack_size(STACK).spawn(dive).unwrap().join().unwrap();
}
