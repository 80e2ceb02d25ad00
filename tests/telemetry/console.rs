//! Metrics and log events in the terminal, by the variables of the environment.

use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::Telemetry;
use eventsource_tests::alone::{alone, is_alone, passed};
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
