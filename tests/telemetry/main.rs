//! Telemetry itself: what it tells in logs, and that it is never in the way of what it watches.

mod away;
mod balance;
mod beside;
mod console;
mod environment;
mod failures;
#[cfg(unix)]
mod forked;
mod hostile;
mod injected;
mod logs;
mod reentrant;
mod teardown;
mod troubles;

use std::alloc::System;

use eventsource_tests::placing::{bus, place};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
