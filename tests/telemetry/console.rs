//! Metrics and log events in the terminal, by the variables of the environment.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::orders::OrderPlaced;
use eventsource_tests::recorder::PATIENCE;
use opentelemetry::{KeyValue, global};
use uuid::Uuid;

use crate::{bus, place};

/// A program whose set-up is the environment's, and what it leaves on stderr.
fn printed(variables: &[(&str, &str)]) -> Vec<String> {
    printed_by("a_program", variables)
}

/// The same of another program.
fn printed_by(program: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let output = passed(alone(&format!("console::{program}")).envs(variables.iter().copied()), 1);
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
    let rejected = "eventsource::command: rejected cqrs.command.type=PlaceOrder eventsource.aggregate.id=";
    assert!(line.contains(rejected) && line.ends_with(" error.type=WrongStatus"), "{line}");
}

#[test]
fn nothing_is_printed_unasked() {
    assert_eq!(printed(&[]), [""; 0]);
    assert_eq!(printed(&[("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")]), [""; 0]);
    let disabled =
        [("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "console"), ("OTEL_LOGS_EXPORTER", "console")];
    assert_eq!(printed(&disabled), [""; 0]);
}

#[tokio::test]
async fn a_program_whose_receiver_is_away() {
    if !is_alone() {
        return;
    }
    let telemetry = Telemetry::from_env("console").shutdown_timeout(PATIENCE).install().unwrap();
    bus(&MemoryStore::new()).dispatch(place(Uuid::now_v7())).await.unwrap();
    telemetry.force_flush().await.unwrap_err();
    telemetry.shutdown().await.unwrap_err();
}

/// Nobody heard of it: the receiver that was away was to get the log record about that.
#[test]
fn that_telemetry_is_lost_is_printed_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The end of a connection, where nobody else can listen.
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let gone = format!("http://{}", held.local_addr().unwrap());
    let lines = printed_by("a_program_whose_receiver_is_away", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &gone)]);
    let begin = "[warn] eventsource::telemetry: telemetry is lost eventsource.signal=";
    assert!(lines.iter().all(|line| line.starts_with(begin) && line.contains(&gone)), "{lines:#?}");
    assert!((1..=2).contains(&lines.len()), "at once, and before the end: {lines:#?}");
}

/// Applies nothing.
struct Poisoned;

#[projection]
impl Poisoned {
    fn placed(&self, _: &Recorded<OrderPlaced>) -> Result<(), ProjectionError> {
        Err(ProjectionError::new("a\nb"))
    }
}

/// Has a projection fail, be tried again, and stop, of which the program itself says nothing.
async fn stop_a_projection() {
    let store = MemoryStore::new();
    bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    let projections = ProjectionRunner::new(store.clone()).projection(Poisoned).max_retries(1).spawn();
    projections.stopped().await;
    projections.shutdown().await.unwrap_err();
}

/// It has a subscriber when a projection stops for the second time.
#[tokio::test]
async fn a_program_whose_projections_stop() {
    if !is_alone() {
        return;
    }
    let telemetry = Telemetry::from_env("console").console_without_endpoint().record_error_text(true);
    let telemetry = telemetry.shutdown_timeout(PATIENCE).install().unwrap();
    stop_a_projection().await;
    // Before anything else is printed.
    telemetry.force_flush().await.unwrap();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    stop_a_projection().await;
    telemetry.shutdown().await.unwrap();
}

/// The lines that tell of projections: those of the set-up, and those of the subscriber, which begin with a time.
fn told_of_projections(variables: &[(&str, &str)]) -> [Vec<String>; 2] {
    let mut lines = printed_by("a_program_whose_projections_stop", variables);
    lines.retain(|line| line.contains("eventsource::projection"));
    lines.into_iter().partition::<Vec<_>, _>(|line| line.starts_with('[')).into()
}

/// The trees showed the error's name, and why the projection stood still went nowhere.
#[test]
fn why_a_projection_stops_is_printed_beside_the_trees() {
    let [ours, _] = told_of_projections(&[]);
    let [retried, stopped] = &ours[..] else { panic!("{ours:#?}") };
    for (line, level, message) in [(retried, "[warn] ", "retried"), (stopped, "[error] ", "stopped")] {
        let told = format!(" eventsource::projection: {message} eventsource.projection.name=Poisoned ");
        assert!(line.starts_with(level) && line.contains(&told), "{line}");
        assert!(line.contains(" error.type=projection ") && line.ends_with(" exception.message=a\\u{a}b"), "{line}");
    }
}

/// Two projections stop, the second where there is a subscriber.
#[test]
fn what_is_printed_beside_the_trees_is_left_to_a_subscriber_and_to_what_the_environment_says_of_logs() {
    let stopped = |variables: &[(&str, &str)]| {
        told_of_projections(variables).map(|lines| lines.iter().filter(|line| line.contains("stopped")).count())
    };
    assert_eq!(stopped(&[]), [1, 1], "once each");
    assert_eq!(stopped(&[("OTEL_TRACES_EXPORTER", "console")]), [1, 1], "as the trees are");
    assert_eq!(stopped(&[("OTEL_TRACES_EXPORTER", "none")]), [0, 1], "no trees");
    assert_eq!(stopped(&[("OTEL_LOGS_EXPORTER", "none")]), [0, 1], "not wanted");
    assert_eq!(stopped(&[("OTEL_LOGS_EXPORTER", "console")]), [2, 1], "asked for, whoever listens");
    let failed = |variables: &[(&str, &str)]| {
        let [ours, _] = told_of_projections(variables);
        ours.iter().any(|line| line.contains("eventsource::projection: failed "))
    };
    assert!(failed(&[("OTEL_LOGS_EXPORTER", "console")]) && !failed(&[]), "a span that fails is in the tree");
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
