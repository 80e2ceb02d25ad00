use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use super::Scrape;
use super::server::answer_all;
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
    let ended = metrics::Ended {
        name: "PlaceOrder",
        status: "success",
        error_type: None,
        elapsed: std::time::Duration::from_millis(3),
    };
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

/// Each of its bytes came in time, and nobody else was answered until the last one.
#[test]
fn a_client_that_is_slow_holds_up_nobody_for_long() {
    let server = Scrape::new().serve("127.0.0.1:0").unwrap();
    let mut slow = TcpStream::connect(server.address()).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) && slow.write_all(b"G").is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let answer = ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n");
        ended.store(true, Ordering::Relaxed);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    });
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
