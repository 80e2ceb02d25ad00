//! `cargo bench -p eventsource-bench --bench away`
//!
//! What commands notice of a receiver that is away: every span is recorded, queued, and lost. The p99 of commands with
//! spans off, again with spans off for control, and with an exporter that is refused, or that hangs.

use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use eventsource_bench::orders::{AnyCommand, COMMANDS, Order, ids};
use eventsource_bench::sample::Samples;
use eventsource_bench::scratch::Scratch;
use eventsource_bench::table::{Table, verdict};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteOptions, SqliteStore, Synchronous};
use eventsource_runtime::telemetry::{Telemetry, set_enabled};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Runtime;

const PAIRS: usize = 20;
/// How many orders get ten commands each in a sample.
const ORDERS: usize = 200;
/// How much slower the slowest of a hundred commands may be.
const AIM: f64 = 1.05;

/// Asks for a connection, and is refused.
struct Refused(SocketAddr);

/// Waits for an answer that does not come.
struct Hanging;

impl SpanExporter for Refused {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        match TcpStream::connect(self.0) {
            Ok(_) => Ok(()),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }
}

impl SpanExporter for Hanging {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        thread::sleep(Duration::from_secs(10));
        Err(OTelSdkError::Timeout(Duration::from_secs(10)))
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refused")
    }
}

impl fmt::Debug for Hanging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hanging")
    }
}

fn exported(exporter: impl SpanExporter + 'static) -> Telemetry {
    Telemetry::builder("bench").span_exporter(exporter).shutdown_timeout(Duration::ZERO).build().expect("a set-up")
}

/// What is measured, in microseconds: the middle command, and the slowest of a hundred.
#[derive(Default)]
struct Measured {
    p50: Samples,
    p99: Samples,
}

impl Measured {
    fn push(&mut self, mut latencies: Vec<f64>) {
        latencies.sort_by(f64::total_cmp);
        self.p50.push(latencies[latencies.len() / 2]);
        self.p99.push(latencies[latencies.len() * 99 / 100]);
    }
}

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let (refused, hanging) = (exported(Refused(gone)), exported(Hanging));
    let mut scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let options = SqliteOptions::default().synchronous(Synchronous::Full);
    let store = runtime.block_on(SqliteStore::open_with(scratch.file(), options)).expect("a store");
    let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store)).build();

    let contenders = [("off", None), ("off again", None), ("refused", Some(&refused)), ("hangs", Some(&hanging))];
    let mut measured: Vec<_> = contenders.iter().map(|_| Measured::default()).collect();
    for round in 0..=PAIRS {
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            let latencies = latencies(&runtime, &bus, contenders[at].1);
            // The first round warms up.
            if round > 0 {
                measured[at].push(latencies);
            }
        }
    }
    print(&contenders.map(|(title, _)| title), &measured);
}

fn latencies(runtime: &Runtime, bus: &CommandBus, telemetry: Option<&Telemetry>) -> Vec<f64> {
    set_enabled(telemetry.is_some());
    let orders = ids(ORDERS);
    let work = async {
        let mut latencies = Vec::with_capacity(ORDERS * COMMANDS);
        for ordinal in 0..COMMANDS {
            for &order in &orders {
                let started = Instant::now();
                AnyCommand::nth(ordinal).dispatch(bus, order).await;
                latencies.push(started.elapsed().as_secs_f64() * 1e6);
            }
        }
        latencies
    };
    match telemetry {
        Some(telemetry) => runtime.block_on(telemetry.run(work)),
        None => runtime.block_on(work),
    }
}

fn print(titles: &[&str], measured: &[Measured]) {
    println!("\ncommands on SQLite, FULL, one task, {} a sample, {PAIRS} pairs\n", ORDERS * COMMANDS);
    let mut table = Table::new(&["", "p50, µs", "p99, µs", "p50 ÷ off", "p99 ÷ off", "aim"]);
    let off = &measured[0];
    for (title, measured) in titles.iter().zip(measured) {
        let (p50, p99) = (measured.p50.ratio(&off.p50), measured.p99.ratio(&off.p99));
        let aim = match *title {
            "refused" | "hangs" => format!("≤ {AIM}: {}", verdict(p99 <= AIM)),
            _ => String::new(),
        };
        let micros = |samples: &Samples| format!("{:.0}", samples.median());
        let cells = [micros(&measured.p50), micros(&measured.p99), format!("{p50:.3}"), format!("{p99:.3}"), aim];
        let [middle, slow, p50, p99, aim] = cells;
        table.row([(*title).to_owned(), middle, slow, p50, p99, aim]);
    }
    table.print();
}
