//! Export over OTLP, as an independent receiver sees it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_tests::orders::OrderReadModel;
use serde::Deserialize;
use uuid::Uuid;

use crate::{bus, place, sqlite};

/// Set in the process that exports.
const CHILD: &str = "EVENTSOURCE_TESTS_EXPORTS";
/// How long the receiver may take to show what it has received.
const PATIENCE: Duration = Duration::from_secs(20);

/// What arrives for one command and its projection: names, kinds by OTLP's numbers, and links.
const EXPECTED: [&str; 2] = [
    "command.PlaceOrder/1(load_aggregate/1(snapshot_store.get/3 event_store.load/3) handle_command/1 persist_events/1(event_store.append/3))",
    "projection.OrderReadModel/5~>persist_events(handler.placed/1(projection.insert_read_model/1))",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    name: String,
    kind: u8,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    start_time_unix_nano: String,
    #[serde(default)]
    links: Vec<ReceivedLink>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceivedLink {
    span_id: String,
}

#[test]
fn an_independent_receiver_gets_the_same_tree() {
    let Some(program) = std::env::var_os("OTELTAP") else {
        eprintln!("skipped: OTELTAP names no receiver");
        return;
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tap = Command::new(program).args(["--port", &port.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let mut tap = Tap::new(tap);
    assert!(tap.line().contains("Listening"));
    let exported = Command::new(std::env::current_exe().unwrap())
        .args(["otlp::exports", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .output()
        .unwrap();
    assert!(exported.status.success(), "{exported:?}");

    let mut spans: Vec<Received> = Vec::new();
    while spans.len() < 10 {
        // Metrics come in the same stream, in another shape.
        spans.extend(serde_json::from_str::<Received>(&tap.line()));
    }
    spans.sort_by_key(|span| span.start_time_unix_nano.parse::<u64>().unwrap());
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    let drawn: Vec<_> = roots.map(|root| drawn(root, &spans)).collect();
    assert_eq!(drawn, EXPECTED);
}

fn drawn(span: &Received, all: &[Received]) -> String {
    let name = |id: &str| all.iter().find(|span| span.span_id == id).map_or("?", |span| &span.name);
    let links: Vec<_> = span.links.iter().map(|link| format!("~>{}", name(&link.span_id))).collect();
    let links = links.concat();
    let below: Vec<_> =
        all.iter().filter(|child| child.parent_span_id == span.span_id).map(|child| drawn(child, all)).collect();
    let below = if below.is_empty() { String::new() } else { format!("({})", below.join(" ")) };
    format!("{}/{}{links}{below}", span.name, span.kind)
}

/// Does its work only in the process that the test above starts, whose environment names the receiver.
#[tokio::test]
async fn exports() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let telemetry = Telemetry::from_env("tests").install().unwrap();
    let store = sqlite().await;
    let projections = ProjectionRunner::new(store.clone()).projection(OrderReadModel).spawn();
    let committed = bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    projections.wait_for(committed.position).await.unwrap();
    projections.shutdown().await.unwrap();
    telemetry.shutdown().await.unwrap();
}

/// The receiver's output, line by line; it ends with the test.
struct Tap {
    process: Child,
    lines: Receiver<String>,
}

impl Tap {
    fn new(mut process: Child) -> Self {
        let output = process.stdout.take().expect("its output is piped");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the receiver shows what it has received")
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
