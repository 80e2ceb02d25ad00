//! `cargo bench -p eventsource-tests --bench components`: the instructions of one call of each component, counted by
//! valgrind: without telemetry, with spans and metrics that the component's own switches keep off, and with both on.
//! Fails where being off costs more than it may.

use std::error::Error;
use std::hint::black_box;
use std::process::Command;

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry;
use eventsource_tests::everything::calls;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use tokio::runtime::Runtime;

/// Calls that are made before it is counted: what is made once is there then.
const WARM_UP: u32 = 100;
const COUNTED: u32 = 1000;

/// What it may cost at most that a component is off by its switches, in instructions of a call: a tenth more than it
/// did with Rust 1.95, to which a part of the call is added: see [`NOISE`].
const AT_MOST: [(&str, i64); 14] = [
    ("store", 379),
    ("store's feed", 476),
    ("repository", 728),
    ("command bus", 779),
    ("refused command", 1348),
    ("snapshots", 3470),
    ("load from a snapshot", 1183),
    ("query bus", 55),
    ("projections", 2187),
    ("process managers", 3898),
    ("dead letters", 1018),
    ("event bus", 55),
    ("broker", 74),
    ("relay", 2134),
];

/// Has the allocator keep at hand whatever was freed: how it splits and joins blocks depends on all that was allocated
/// before, and costs more in one process than in another.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=1048576");

/// A fiftieth of a call: so much may two differ by that do the same. The allocator does not keep at hand what is
/// aligned as tasks are.
const NOISE: i64 = 50;

/// How telemetry is in a process that makes calls.
const WAYS: [&str; 3] = ["bare", "off", "on"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &arguments[..] {
        [way, component] => make(way, component.parse()?),
        _ => table()?,
    }
    Ok(())
}

/// Of one thread, so that what a component does in tasks is counted as well.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be started")
}

fn table() -> Result<(), Box<dyn Error>> {
    println!("| component | without telemetry | off | off costs | at most | on |\n|---|--:|--:|--:|--:|--:|");
    let components = runtime().block_on(calls(MemoryStore::new, false));
    assert!(components.iter().map(|call| call.component).eq(AT_MOST.map(|(component, _)| component)));
    let mut dear = Vec::new();
    for (number, (component, at_most)) in AT_MOST.into_iter().enumerate() {
        let mut counts = [0; WAYS.len()];
        for (count, way) in counts.iter_mut().zip(WAYS) {
            *count = counted(way, number)?;
        }
        let [bare, off, on] = counts;
        let (costs, at_most) = (off - bare, at_most + bare / NOISE);
        println!("| {component} | {bare} | {off} | {costs} | {at_most} | {on} |");
        if costs > at_most {
            dear.push(format!("{component}: {costs} instructions, and {at_most} at most"));
        }
    }
    if dear.is_empty() { Ok(()) } else { Err(format!("what is off costs too much: {}", dear.join("; ")).into()) }
}

/// What callgrind collects on the first thread within [`collected`], a call.
fn counted(way: &str, component: usize) -> Result<i64, Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("eventsource-components-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--toggle-collect=*components::collected*"])
        .arg(format!("--callgrind-out-file={}", directory.join("callgrind").display()))
        .arg(std::env::current_exe()?)
        .args([way, &component.to_string()])
        .env(ALLOCATOR.0, ALLOCATOR.1)
        .output()?;
    let profile = std::fs::read_to_string(directory.join("callgrind-01")).unwrap_or_default();
    std::fs::remove_dir_all(&directory)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.trim().parse::<i64>().ok());
    let failed = || format!("valgrind counted nothing: {}", String::from_utf8_lossy(&output.stderr));
    Ok(total.ok_or_else(failed)? / i64::from(COUNTED))
}

fn make(way: &str, component: usize) {
    let runtime = runtime();
    let (recorder, on) =
        (Recorder::with(|builder| builder.metric_exporter(InMemoryMetricExporter::default())), way == "on");
    telemetry::set_enabled(way != "bare");
    let made = async {
        match way {
            "bare" => calls(|| MemoryStore::new().inner().clone(), on).await,
            _ => calls(|| MemoryStore::new().enable_tracing(on).enable_metrics(on), on).await,
        }
    };
    let mut call = runtime.block_on(recorder.run(made)).swap_remove(component);
    let mut repeat = |times: u32| {
        runtime.block_on(recorder.run(async {
            for _ in 0..times {
                call.make().await;
            }
        }));
    };
    repeat(WARM_UP);
    collected(&mut repeat);
}

/// Callgrind collects in this function alone.
#[inline(never)]
fn collected(make: &mut dyn FnMut(u32)) {
    make(COUNTED);
    // Keeps the call above from becoming a jump out of this function.
    black_box(make);
}
