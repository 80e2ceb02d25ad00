//! One variant of an instrumented call: how often it allocates.

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() {
    eventsource_bench::calls::worker::count_allocations(ALLOCATOR);
}
