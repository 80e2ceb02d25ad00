//! `cargo bench -p eventsource-bench --bench away`
//!
//! What commands notice of receivers that are away: every span, metric and log record is made, queued, and lost. The
//! p99 of commands without telemetry, again without for control, and with exporters that are refused, hang, fail or
//! panic.

use std::fmt;
use std::future::{Future, ready};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
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
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Runtime;
use uuid::Uuid;

const PAIRS: usize = 20;
/// How many orders get ten commands each in a share of a sample.
const ORDERS: usize = 576;
/// How many tasks give commands at a time, and how many shares a sample has then: the more commands wait for each
/// other, the more of them it takes until the slowest of a hundred is the same again.
const SHARES: [(usize, usize); 3] = [(1, 1), (16, 4), (64, 10)];
/// How much slower the slowest of a hundred commands may be.
const AIM: f64 = 1.05;

/// How a receiver is away, for every signal.
#[derive(Clone, Copy)]
enum Away {
    /// Nobody listens there.
    Refused(SocketAddr),
    Hangs,
    Fails,
    Panics,
}

impl Away {
    fn export(self) -> OTelSdkResult {
        match self {
            Self::Refused(address) => match TcpStream::connect(address) {
                Ok(_) => Ok(()),
                Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
            },
            Self::Hangs => {
                thread::sleep(Duration::from_secs(10));
                Err(OTelSdkError::Timeout(Duration::from_secs(10)))
            }
            Self::Fails => Err(OTelSdkError::InternalFailure("503".to_owned())),
            Self::Panics => panic!("an exporter's own"),
        }
    }

    fn telemetry(self) -> Telemetry {
        Telemetry::builder("bench")
            .span_exporter(self)
            .metric_exporter(self)
            .log_exporter(self)
            .shutdown_timeout(Duration::ZERO)
            .build()
            .expect("a set-up")
    }
}

impl fmt::Debug for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Away")
    }
}

impl SpanExporter for Away {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        ready((*self).export())
    }
}

impl LogExporter for Away {
    fn export(&self, _: LogBatch<'_>) -> impl Future<Output = OTelSdkResult> + Send {
        ready((*self).export())
    }
}

impl PushMetricExporter for Away {
    fn export(&self, _: &ResourceMetrics) -> impl Future<Output = OTelSdkResult> + Send {
        ready((*self).export())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
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

/// Its name, its telemetry, and whether spans are on.
type Contender = (&'static str, Telemetry, bool);

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    // What exporters panic about is not what is looked at.
    std::panic::set_hook(Box::new(|_| ()));
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    // Without telemetry: no span is made, and nobody reads a metric.
    let none = || Telemetry::builder("bench").build().expect("a set-up");
    let contenders: [Contender; 6] = [
        ("off", none(), false),
        ("off again", none(), false),
        ("refused", Away::Refused(gone).telemetry(), true),
        ("hangs", Away::Hangs.telemetry(), true),
        ("fails", Away::Fails.telemetry(), true),
        ("panics", Away::Panics.telemetry(), true),
    ];
    for (tasks, shares) in SHARES {
        let mut measured: Vec<_> = contenders.iter().map(|_| Measured::default()).collect();
        for round in 0..=PAIRS {
            let latencies = runtime.block_on(sample(&contenders, round, tasks, shares));
            // The first round warms up.
            if round > 0 {
                for (measured, latencies) in measured.iter_mut().zip(latencies) {
                    measured.push(latencies);
                }
            }
        }
        print(tasks, shares, &contenders.each_ref().map(|(title, ..)| *title), &measured);
    }
}

/// The latencies of one round, of each contender, on a store of its own. They take turns at each command of their
/// orders, so that what slows the disk down for a while slows all.
async fn sample(contenders: &[Contender], round: usize, tasks: usize, shares: usize) -> Vec<Vec<f64>> {
    let mut scratch = Scratch::new(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let options = SqliteOptions::default().synchronous(Synchronous::Full);
    let store = SqliteStore::open_with(scratch.file(), options).await.expect("a store");
    let bus = Arc::new(CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build());
    let mut latencies: Vec<_> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..shares {
        let orders: Vec<_> = contenders.iter().map(|_| ids(ORDERS)).collect();
        for ordinal in 0..COMMANDS {
            for turn in 0..contenders.len() {
                let at = (turn + round + ordinal) % contenders.len();
                let (_, telemetry, enabled) = &contenders[at];
                set_enabled(*enabled);
                dispatch(telemetry, &bus, ordinal, &orders[at], tasks, &mut latencies[at]).await;
            }
        }
    }
    store.close().await;
    latencies
}

/// Gives each order its next command, and says how long each took, in microseconds, where so many tasks share the
/// orders.
async fn dispatch(
    telemetry: &Telemetry,
    bus: &Arc<CommandBus>,
    ordinal: usize,
    orders: &[Uuid],
    tasks: usize,
    latencies: &mut Vec<f64>,
) {
    let running: Vec<_> = orders
        .chunks(ORDERS / tasks)
        .map(|orders| tokio::spawn(telemetry.run(one_task(Arc::clone(bus), ordinal, orders.to_vec()))))
        .collect();
    for task in running {
        latencies.extend(task.await.expect("a task"));
    }
}

async fn one_task(bus: Arc<CommandBus>, ordinal: usize, orders: Vec<Uuid>) -> Vec<f64> {
    let mut latencies = Vec::with_capacity(orders.len());
    for order in orders {
        let started = Instant::now();
        AnyCommand::nth(ordinal).dispatch(&bus, order).await;
        latencies.push(started.elapsed().as_secs_f64() * 1e6);
    }
    latencies
}

fn print(tasks: usize, shares: usize, titles: &[&str], measured: &[Measured]) {
    println!("\ncommands on SQLite, FULL, {tasks} at a time, {} a sample, {PAIRS} pairs\n", shares * ORDERS * COMMANDS);
    let mut table = Table::new(&["", "p50, µs", "p99, µs", "p50 ÷ off", "p99 ÷ off", "aim"]);
    let off = &measured[0];
    for (title, measured) in titles.iter().zip(measured) {
        let (p50, p99) = (measured.p50.ratio(&off.p50), measured.p99.ratio(&off.p99));
        let aim = if title.starts_with("off") { String::new() } else { format!("≤ {AIM}: {}", verdict(p99 <= AIM)) };
        let micros = |samples: &Samples| format!("{:.0}", samples.median());
        let cells = [micros(&measured.p50), micros(&measured.p99), format!("{p50:.3}"), format!("{p99:.3}"), aim];
        let [middle, slow, p50, p99, aim] = cells;
        table.row([(*title).to_owned(), middle, slow, p50, p99, aim]);
    }
    table.print();
}
