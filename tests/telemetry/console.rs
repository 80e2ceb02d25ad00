//! Metrics and log events in the terminal, by the variables of the environment.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::Telemetry;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::recorder::PATIENCE;
use opentelemetry::{KeyValue, global};
use uuid::Uuid;

use crate::{bus, place};

/// A program whose set-up is the environment's, and what it leaves on stderr.
fn printed(variables: &[(&str, &str)]) -> Vec<String> {
    let output = passed(alone("console::a_program").envs(variables.iter().copied()), 1);
    let stderr = String::from_utf8(output.stderr).unwrap();
    stderr.lines().filter(|line| line.contains(" cqrs.") || line.contains("eventsource::")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_program() {
    if !is_alone() {
        return;
    }
    let telemetry = Telemetry::from_env("console").install().unwrap();
    let (store, order) = (MemoryStore::new(), Uuid::now_v7());
    bus(&store).dispatch(place(order)).await.unwrap();
    bus(&store).dispatch(place(order)).await.unwrap_err();
    telemetry.shutdown().await.unwrap();
}

#[test]
fn metrics_are_printed_a_line_a_point() {
    let lines = printed(&[("OTEL_METRICS_EXPORTER", "console")]);
    let total = |status: &str| {
        format!("cqrs.command.total [{{command}}] command.status={status} command.type=PlaceOrder cqrs.side=write: 1")
    };
    assert_eq!(lines.iter().filter(|line| **line == total("success")).count(), 1, "{lines:#?}");
    let took =
        "cqrs.command.duration [s] command.status=success command.type=PlaceOrder cqrs.side=write: count=1 sum=0";
    assert_eq!(lines.iter().filter(|line| line.starts_with(took)).count(), 1, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("eventsource::")), "{lines:#?}");
}

#[test]
fn log_events_are_printed_a_line_each() {
    let lines = printed(&[("OTEL_LOGS_EXPORTER", "console")]);
    let [line] = &lines[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("[info] trace_id="), "{line}");
    let rest = "eventsource::command: rejected cqrs.command.type=PlaceOrder error.type=WrongStatus";
    assert!(line.ends_with(rest), "{line}");
}

#[test]
fn nothing_is_printed_unasked() {
    assert_eq!(printed(&[]), [""; 0]);
    assert_eq!(printed(&[("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")]), [""; 0]);
    let disabled =
        [("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "console"), ("OTEL_LOGS_EXPORTER", "console")];
    assert_eq!(printed(&disabled), [""; 0]);
}

/// Prints more metrics than a pipe holds.
#[tokio::test]
async fn a_program_whose_terminal_was_stopped() {
    if !is_alone() {
        return;
    }
    let telemetry = Telemetry::from_env("console").shutdown_timeout(PATIENCE).install().unwrap();
    let counter = global::meter("tests").u64_counter("made").build();
    for number in 0..1000 {
        counter.add(1, &[KeyValue::new("what", format!("{number:0200}"))]);
    }
    // It may say that it could not print in time.
    let _ = telemetry.force_flush().await;
    telemetry.shutdown().await.unwrap();
}

/// Tells that metrics came.
fn receiver() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/metrics", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some(found) = line.to_lowercase().strip_prefix("content-length:") {
                    length = found.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            let _ = tell.send(());
        }
    });
    (endpoint, told)
}

/// The reader that printed waited for it, and those behind it had to wait as well.
#[test]
fn a_terminal_that_was_stopped_keeps_no_other_from_the_last_metrics() {
    let ((endpoint, told), (mut unread, stopped)) = (receiver(), io::pipe().unwrap());
    let variables = [("OTEL_METRICS_EXPORTER", "console,otlp"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &*endpoint)];
    thread::scope(|threads| {
        let program = || alone("console::a_program_whose_terminal_was_stopped");
        threads.spawn(move || passed(program().envs(variables).stderr(stopped), 1));
        told.recv_timeout(PATIENCE).unwrap();
        io::copy(&mut unread, &mut io::sink()).unwrap();
    });
}
