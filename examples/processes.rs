//! Runs the examples that are processes of their own: those of two on real brokers, where one trace goes through both,
//! and the web service, which is asked to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteStore, SqliteTransaction};
use eventsource_runtime::testing;
use serde::{Deserialize, Serialize};

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
        // The first process passes on all that the second one prints: of its first line one letter was missing.
        assert_eq!(out, "listening\nmails that went out in the end: 1\n");
        assert_eq!(through_both(&parts, "place_order", "notification.send_mail"), 3, "{parts:#?}");
    });
}

/// The web service, on a free port.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start(database: &Path) -> Self {
        let mut command = Command::new(program("service"));
        command.env("ADDRESS", "127.0.0.1:0").env("DATABASE", database).env("NO_COLOR", "1");
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { process, address }
    }

    /// The status line, the version that the answer tells, and its body.
    fn ask(&self, request: &str, headers: &[&str]) -> (String, Option<String>, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let first = format!("{request} HTTP/1.1");
        let lines = [&[&*first, "Host: test", "Connection: close"], headers, &["", ""]].concat();
        let request = lines.join("\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).unwrap_or_default();
        let version = lines.find_map(|line| line.strip_prefix("etag: "));
        (status[..3].to_owned(), version.map(str::to_owned), body.trim().to_owned())
    }

    fn asked_to_end(self) -> Output {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.process.id())]).status();
        assert!(asked.expect("a shell").success());
        self.process.wait_with_output().expect("it ends")
    }
}

#[test]
fn a_web_service_answers_as_its_clients_expect_and_ends_when_it_is_asked_to() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let database = std::env::temp_dir().join(format!("eventsource-service-{}.db", std::process::id()));
    let service = Service::start(&database);
    let answer = |status: &str, version: Option<&str>, body: &str| {
        (status.to_owned(), version.map(|version| format!("\"{version}\"")), body.to_owned())
    };
    let parent = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    let deposit = "POST /accounts/ada/deposits/500";
    assert_eq!(service.ask(deposit, &["Idempotency-Key: 1", "If-Match: \"0\"", &parent]), answer("204", Some("1"), ""));
    assert_eq!(service.ask("GET /accounts/ada", &[]), answer("200", Some("1"), "500"));
    assert_eq!(service.ask(deposit, &["Idempotency-Key: 1", "If-Match: \"0\""]), answer("204", Some("1"), ""), "again");
    assert_eq!(
        service.ask(deposit, &["Idempotency-Key: 2", "If-Match: \"0\""]),
        answer("412", None, ""),
        "not as seen"
    );
    assert_eq!(service.ask(deposit, &["If-Match: old"]), answer("400", None, ""));
    assert_eq!(service.ask("POST /accounts/ada/deposits/501", &["Idempotency-Key: 1"]), answer("422", None, ""));
    assert_eq!(service.ask("GET /accounts/bob", &[]), answer("404", None, ""));
    for probe in ["GET /live", "GET /ready"] {
        assert_eq!(service.ask(probe, &[]), answer("200", None, ""));
    }
    let Output { status, stderr, .. } = service.asked_to_end();
    let traces = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{traces}");
    let (_, called) = traces.split_once(&format!("trace {}", &TRACE[..8])).unwrap_or_else(|| panic!("{traces}"));
    let called = called.split("\ntrace ").next().unwrap_or_default();
    assert!(called.contains("POST /accounts/{account}/deposits/"), "{called}");
    assert!(called.contains("─ command.Deposit"), "{called}");

    let again = Service::start(&database);
    assert_eq!(again.ask("GET /accounts/ada", &[]), answer("200", Some("1"), "500"));
    assert!(again.asked_to_end().status.success());
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
}

/// It printed that the projection had stopped and that the cause was to be mended, and not which.
#[tokio::test]
async fn a_web_service_whose_projection_stops_says_why_and_ends() {
    let database = std::env::temp_dir().join(format!("eventsource-stopped-{}.db", std::process::id()));
    let store = SqliteStore::open(&database).await.expect("it is new");
    let projections = ProjectionRunner::new(store).projection(InTheWay).spawn();
    projections.wait_for(Position::new(0)).await.expect("its table is created");
    projections.shutdown().await.expect("it has nothing to do");

    let service = Service::start(&database);
    let Output { status, stderr, .. } = service.process.wait_with_output().expect("it ends by itself");
    let said = String::from_utf8_lossy(&stderr);
    assert!(!status.success(), "{said}");
    let line = said.lines().find(|line| line.starts_with("`Balances` stopped after position 0"));
    assert!(line.is_some_and(|line| line.contains("mend the cause") && line.contains("already exists")), "{said}");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Noted;

/// Has a table of the name that the service's projection wants.
struct InTheWay;

#[projection]
impl InTheWay {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE balances (taken INTEGER)")?)
    }

    fn noted(&self, _: &Recorded<Noted>, _: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}
