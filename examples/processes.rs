//! Runs the two-process examples on real brokers: one trace goes through both processes.

use std::path::PathBuf;
use std::process::Command;

use eventsource_runtime::testing;

/// The program of that name, built next to this one.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("the target's folder");
    folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Runs a program and its other process to completion; returns what they print, and each part of a trace that they
/// show, with the trace's id.
fn run(name: &str, servers: &[&str]) -> (String, Vec<(String, String)>) {
    let mut command = Command::new(program(name));
    for server in servers {
        let missing = |_| testing::skip(&format!("no server; set {server}, or run tests/run"));
        command.env(server, std::env::var(server).unwrap_or_else(missing));
    }
    let ended = command.output().expect("the program is built: run the tests of the whole package");
    let (out, trees) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{out}{trees}");
    let mut parts: Vec<(String, String)> = Vec::new();
    for line in trees.lines() {
        match (line.strip_prefix("trace "), parts.last_mut()) {
            (Some(header), _) => {
                parts.push((header.split(' ').next().unwrap_or_default().to_owned(), String::new()));
            }
            (None, Some((_, part))) => part.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    (out.into_owned(), parts)
}

/// Counts the traces in which one process shows a span of the first name, and the other continues, where it consumes a
/// message, with a span of the second name.
fn through_both(parts: &[(String, String)], begun: &str, led_to: &str) -> usize {
    let begins = |part: &str| part.contains(begun) && !part.contains(led_to);
    let goes_on = |part: &str| part.starts_with("process ") && part.contains(led_to) && !part.contains(begun);
    let of = |id: &str, test: &dyn Fn(&str) -> bool| parts.iter().any(|(other, part)| other == id && test(part));
    parts.iter().filter(|(id, part)| begins(part) && of(id, &goes_on)).count()
}

#[test]
fn orders_on_kafka_lead_to_reservations_in_another_process_and_one_trace() {
    testing::run(async {
        let (out, parts) = run("postgres_kafka", &["EVENTSOURCE_POSTGRES_URL", "EVENTSOURCE_KAFKA_URL"]);
        assert!(out.contains("reserved keyboards: 3"), "{out}");
        assert_eq!(through_both(&parts, "command.PlaceOrder", "command.ReserveStock"), 3, "{parts:#?}");
    });
}

#[test]
fn orders_on_rabbitmq_lead_to_mails_in_another_process_and_one_trace() {
    testing::run(async {
        let (out, parts) = run("rabbitmq", &["EVENTSOURCE_RABBITMQ_URL"]);
        assert!(out.contains("mails that went out in the end: 1"), "{out}");
        assert_eq!(through_both(&parts, "place_order", "notification.send_mail"), 3, "{parts:#?}");
    });
}
