use std::io::{Read, Write};
use std::net::TcpStream;

use super::Scrape;
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
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) && slow.write_all(b"G").is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let answer = ask(server.address(), "GET /metrics HTTP/1.1\r\n\r\n");
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    });
}
