//! A process that runs one variant: timed whenever it is asked to, a number of times for callgrind, or to count its
//! allocations.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use stats_alloc::{Region, StatsAlloc};

use super::{Shape, Variant};
use crate::sample::timed;

/// Calls before anything is measured.
const WARM_UP: u64 = 1_000;
/// How long one timed sample should take.
const SAMPLE: Duration = Duration::from_millis(4);
/// How many calls are looked at for their allocations.
const COUNTED: u32 = 1_000;
/// No sample makes more calls than this between two flushes, so that no queue fills up.
const LONGEST: u64 = 2_000;

const USAGE: &str = "usage: calls-worker VARIANT sync|async [--count N]; without --count it takes a sample for each line \
                     on its standard input";

/// What the command line asks for.
struct Order {
    variant: &'static Variant,
    run: fn(u64),
    count: Option<u64>,
}

impl Order {
    fn read() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (variant, shape, count) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [variant, shape] => (variant, shape, None),
            [variant, shape, "--count", count] => (variant, shape, Some(count.parse().ok()?)),
            _ => return None,
        };
        let variant = Variant::find(variant)?;
        let set = |&(key, value): &(&str, &str)| std::env::var(key).as_deref() == Ok(value);
        assert!(variant.environment.iter().all(set), "set {:?} in the environment first", variant.environment);
        let run = match shape {
            _ if shape == Shape::Sync.name() => variant.calls.sync,
            _ if shape == Shape::Async.name() => variant.calls.future,
            _ => return None,
        };
        Some(Self { variant, run, count })
    }

    fn or_exit() -> Self {
        Self::read().unwrap_or_else(|| {
            eprintln!("{USAGE}");
            std::process::exit(2);
        })
    }
}

/// Runs what the command line names.
pub fn main() {
    let order = Order::or_exit();
    let kept = (order.variant.set_up)();
    (order.run)(WARM_UP);
    match order.count {
        Some(count) => counted(order.run, count),
        None => serve(order.run),
    }
    // A provider's own end takes a while, and nothing waits for it here.
    std::mem::forget(kept);
}

/// The driver tells callgrind to collect in this function alone, so neither start-up nor set-up is counted.
#[inline(never)]
fn counted(run: fn(u64), calls: u64) {
    run(calls);
    // Keeps the call above from becoming a jump out of this function.
    std::hint::black_box(calls);
}

fn serve(run: fn(u64)) {
    let calls = calibrated(run);
    for line in io::stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        println!("{}", nanoseconds(run, calls));
        io::stdout().flush().expect("the driver listens");
    }
}

/// How many calls make a sample.
fn calibrated(run: fn(u64)) -> u64 {
    let mut calls = LONGEST;
    while timed(|| run(calls)).1 < SAMPLE {
        calls *= 2;
    }
    calls
}

/// Nanoseconds a call; queues are emptied in between, outside the time.
fn nanoseconds(run: fn(u64), calls: u64) -> f64 {
    let mut elapsed = Duration::ZERO;
    let mut left = calls;
    // Where calls are cheap enough that a reading of the clock would show, nothing is queued.
    let batch = if calls > 64 * LONGEST { calls } else { LONGEST };
    while left > 0 {
        let now = left.min(batch);
        elapsed += timed(|| run(now)).1;
        fastrace::flush();
        left -= now;
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer calls than an f64 can count")]
    let calls = calls as f64;
    elapsed.as_secs_f64() * 1e9 / calls
}

/// Prints allocations and bytes a call, of the whole process.
pub fn count_allocations(allocator: &'static StatsAlloc<std::alloc::System>) {
    let order = Order::or_exit();
    let kept = (order.variant.set_up)();
    (order.run)(WARM_UP);
    let region = Region::new(allocator);
    (order.run)(COUNTED.into());
    let change = region.change();
    let calls = usize::try_from(COUNTED).unwrap_or(usize::MAX);
    println!("{} {}", (change.allocations + change.reallocations + calls / 2) / calls, change.bytes_allocated / calls);
    std::mem::forget(kept);
}
