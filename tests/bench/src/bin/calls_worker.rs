//! One variant of an instrumented call: timed on demand, or run a number of times for callgrind.

fn main() {
    eventsource_bench::calls::worker::main();
}
