use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::Scrape;
use super::server::{MOST_AT_ONCE, answer_all, reachable};
use crate::telemetry::Telemetry;
use crate::telemetry::otel::metrics;

fn ask(server: std::net::SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(server).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_metrics_are_served_under_the_names_that_dashboards_use() {
    let scrape = Scrape::new();
    assert_eq!(scrape.text(), "");
    let server = scrape.serve("127.0.0.1:0").unwrap();
    let telemetry = Telemetry::builder("orders").prometheus(&scrape).build().unwrap();
    let attached = telemetry.attach();
    let ended =
        metrics::Ended { name: "PlaceOrder", status: "success", error_type: None, elapsed: Duration::from_millis(3) };
    metrics::command(&ended, 1);
    drop(attached);
    let answer = ask(server.address(), "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let total = "cqrs_command_total{command_status=\"success\",command_type=\"PlaceOrder\",cqrs_side=\"write\"} 1\n";
    assert!(answer.contains(total), "{answer}");
    assert!(answer.contains("cqrs_command_duration_seconds_bucket{"), "{answer}");
    assert!(!answer.contains("_total_total"), "{answer}");
    assert!(ask(server.address(), "GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(ask(server.address(), "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let asked = ask(server.address(), "GET /metrics?name[]=x HTTP/1.1\r\n\r\n");
    assert!(asked.contains(total), "{asked}");
    let head = ask(server.address(), "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(!head.contains("Content-Length: 0\r\n"), "the length is that of the answer to GET: {head}");
    let address = server.address();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    telemetry.shutdown_blocking().unwrap();
}

/// Each of its bytes came in time, and it was waited for until the last one.
#[test]
fn a_client_that_is_slow_is_given_up() {
    let server = Scrape::new().serve("127.0.0.1:0").unwrap();
    let slow = TcpStream::connect(server.address()).unwrap();
    let begun = Instant::now();
    while (&slow).write_all(b"G").is_ok() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is waited for");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everybody waited until it was given up, and so did whoever dropped the server.
#[test]
fn a_client_that_sends_nothing_holds_up_nobody() {
    before_any_is_given_up(|| {
        let server = Scrape::new().serve("127.0.0.1:0").unwrap();
        let address = server.address();
        let silent = TcpStream::connect(address).unwrap();
        let answer = ask(address, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        drop(server);
        assert!(TcpStream::connect(address).is_err());
        is_waiting(&silent)
    });
}

/// Has something come true before a client that is silent was given up, which on a busy machine may be at once; that it
/// did not counts only where there was the time.
fn before_any_is_given_up(is_so: impl Fn() -> bool) {
    for _ in 0..5 {
        let begun = Instant::now();
        let is_so = is_so();
        if begun.elapsed() < Duration::from_secs(4) {
            return assert!(is_so, "it was not waited for");
        }
    }
    panic!("each time it took as long as to give up a client");
}

fn is_waiting(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let read = { client }.read(&mut [0]);
    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn a_client_for_which_no_thread_is_left_waits() {
    before_any_is_given_up(one_waits_for_a_thread);
}

fn one_waits_for_a_thread() -> bool {
    let server = Scrape::new().serve("127.0.0.1:0").unwrap();
    let connect = || TcpStream::connect(server.address()).unwrap();
    let mut silent: Vec<_> = (0..MOST_AT_ONCE).map(|_| connect()).collect();
    let mut further = connect();
    further.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    further.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    if further.read(&mut [0]).is_ok() {
        return false;
    }
    further.set_read_timeout(None).unwrap();
    silent.pop();
    let mut answer = String::new();
    further.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    silent.extend([(); 2].map(|()| connect()));
    drop(server);
    is_waiting(&silent[0])
}

#[test]
fn a_server_on_all_addresses_is_woken_by_the_local_one() {
    for (bound, reached) in [
        ("0.0.0.0:9", "127.0.0.1:9"),
        ("[::]:9", "[::1]:9"),
        ("10.0.0.1:9", "10.0.0.1:9"),
        ("[fe80::1]:9", "[fe80::1]:9"),
    ] {
        assert_eq!(reachable(bound.parse().unwrap()), reached.parse().unwrap());
    }
    let server = Scrape::new().serve("0.0.0.0:0").unwrap();
    let address = reachable(server.address());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

/// The loop went round as fast as it could where no file descriptor was left.
#[test]
fn connections_that_cannot_be_accepted_are_waited_out() {
    let out_of_files = || Err(io::Error::other("no file descriptor is left"));
    let (ended, pauses, answered) = (AtomicBool::new(false), Cell::new(0), RefCell::new(Vec::new()));
    let pause = || {
        pauses.set(pauses.get() + 1);
        ended.store(pauses.get() == 3, Ordering::Relaxed);
    };
    let connections = [Ok(1), out_of_files(), out_of_files(), Ok(2), out_of_files(), out_of_files(), Ok(3)];
    answer_all(connections.into_iter(), &ended, |connection| answered.borrow_mut().push(connection), pause);
    assert_eq!((pauses.get(), answered.into_inner()), (3, vec![1, 2]));
}

/// What a callback of the user's may do, which runs when it is scraped.
struct PanicsAtFirst(IntCounter, AtomicBool);

impl Collector for PanicsAtFirst {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        assert!(self.1.swap(true, Ordering::Relaxed), "an instrument's own");
        self.0.collect()
    }
}

/// It ended the server's thread.
#[test]
fn a_panic_in_a_scrape_fails_that_scrape_alone() {
    let (scrape, registry) = (Scrape::new(), Registry::new());
    let counter = IntCounter::new("orders", "Orders.").unwrap();
    registry.register(Box::new(PanicsAtFirst(counter, AtomicBool::new(false)))).unwrap();
    scrape.read_from(registry);
    let server = scrape.serve("127.0.0.1:0").unwrap();
    let [first, second] = [(); 2].map(|()| ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n"));
    assert!(first.starts_with("HTTP/1.1 500 "), "{first}");
    assert!(second.starts_with("HTTP/1.1 200 OK") && second.ends_with("\norders 0\n"), "{second}");
}

/// The SDK tells nothing after it, and each scrape found a service that is well and has no metrics.
#[test]
fn a_panic_that_leaves_no_metrics_fails_every_scrape() {
    let (scrape, registry) = (Scrape::new(), Registry::new());
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let panicked = AtomicBool::new(false);
    let _gauge = meters
        .meter("orders")
        .u64_observable_gauge("orders")
        .with_callback(move |_| assert!(panicked.swap(true, Ordering::Relaxed), "an instrument's own"))
        .build();
    scrape.read_from(registry);
    let server = scrape.serve("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        let answer = ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    }
    assert_eq!(scrape.text(), "");
}
