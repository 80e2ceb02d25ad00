//! The service runs, Prometheus scrapes it, and every query finds something.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eventsource_tests::alone::{alone, is_alone};
use eventsource_tests::scratch::Scratch;
use eventsource_tests::services::free_port;
use serde_json::Value;

use crate::{folder, panels, program, rules, series};

/// How long until every query must have found something.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// A process that ends with the test.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Is the service in the process that the test below starts.
#[test]
fn serves() {
    if is_alone() {
        let _elsewhere = std::thread::spawn(crate::elsewhere::runs);
        crate::service::main().unwrap();
    }
}

/// The service, and the address of its metrics. Its traces and logs go where nobody takes them.
pub(super) fn service() -> (Running, String) {
    let child = alone("scraped::serves")
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
        .env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://127.0.0.1:{}/v1/traces", free_port()))
        .env("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("http://127.0.0.1:{}/v1/logs", free_port()))
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let found = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("metrics at http://")?.1.to_owned()));
    let address = found.expect("the service tells where its metrics are");
    (running, address.trim_end_matches("/metrics").to_owned())
}

/// A Prometheus that scrapes one address every other second, which is how long it waits for an answer, and where it
/// listens.
pub(super) struct Prometheus {
    _running: Running,
    port: u16,
    /// Removed when it has ended.
    _scratch: Scratch,
}

impl Prometheus {
    pub(super) fn start(program: PathBuf, target: &str) -> Self {
        let (port, scratch) = (free_port(), Scratch::new());
        let own = scratch.folder();
        let rules = folder().join("rules.yml").canonicalize().unwrap();
        let config = format!(
            "global: {{scrape_interval: 2s, evaluation_interval: 1s}}\nrule_files: [{:?}]\n\
             scrape_configs: [{{job_name: observability, static_configs: [{{targets: [{target:?}]}}]}}]\n",
            rules.display().to_string()
        );
        fs::write(own.join("prometheus.yml"), config).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", own.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", own.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .spawn()
            .unwrap();
        Self { _running: Running(child), port, _scratch: scratch }
    }

    /// What the API answers to a question of one parameter; `None` while there is no answer.
    fn asked(&self, path: &str, value: &str) -> Option<Value> {
        let mut encoded = String::new();
        for byte in value.bytes() {
            write!(encoded, "%{byte:02x}").unwrap();
        }
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(connection, "GET /api/v1/{path}={encoded} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if head.starts_with("HTTP/1.0 503") {
            return None;
        }
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{value}: {answer}"));
        assert_eq!(body["status"], "success", "{value}: {body}");
        Some(body["data"].clone())
    }

    /// How many series a query finds; `None` while there is no answer.
    fn found(&self, query: &str) -> Option<usize> {
        let answer = self.asked("query?query", query)?;
        // What is not a number is drawn nowhere: nothing was counted.
        let found = answer["result"].as_array()?.iter().filter(|series| series["value"][1] != "NaN");
        Some(found.count())
    }

    /// The labels of each series that was scraped or recorded, its name as `__name__` among them; none while there is
    /// no answer.
    pub(super) fn series(&self) -> Vec<Labels> {
        let answer = self.asked("series?match[]", "{job=\"observability\"}").unwrap_or_default();
        let series = answer.as_array().into_iter().flatten();
        series.map(|labels| serde_json::from_value(labels.clone()).unwrap()).collect()
    }
}

/// Of the alerts, what is there only after a failure that nobody makes here.
const FAILURES: [&str; 2] = [
    "sum by (job) (rate(eventsource_retries_total{eventsource_component=\"relay\"}[5m]))",
    "sum by (job, aggregate_type) (job_aggregate:eventsource_snapshot_reads:rate5m\
     {result=~\"schema_mismatch|store_error|decode_error\"})",
];

/// What a query combines or compares, without numbers.
fn operands(query: &str) -> Vec<&str> {
    const BETWEEN: [&str; 8] = [" and on (job) ", " and ", " unless ", " == ", " > ", " < ", " / ", " * "];
    let (mut operands, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, character) in query.char_indices() {
        depth += i32::from("({".contains(character)) - i32::from(")}".contains(character));
        let found = BETWEEN.iter().find(|between| query[at..].starts_with(**between));
        if let Some(between) = found.filter(|_| depth == 0 && at >= from) {
            operands.push(&query[from..at]);
            from = at + between.len();
        }
    }
    operands.push(&query[from..]);
    operands.retain(|operand| operand.parse::<f64>().is_err());
    operands
}

#[test]
fn a_query_is_taken_apart_where_it_combines_and_compares() {
    let query = "a:max > 1000 and on (job) sum by (job) (rate(b{c=\"d / e\"}[5m]) / f) < 60 * g unless h == 0";
    let apart = ["a:max", "sum by (job) (rate(b{c=\"d / e\"}[5m]) / f)", "g", "h"];
    assert_eq!(operands(query), apart);
}

#[test]
fn no_query_of_the_dashboard_or_the_rules_is_empty() {
    let Some(program) = program("PROMETHEUS", "prometheus") else { return };
    let (_service, address) = service();
    let prometheus = Prometheus::start(program, &address);
    let recorded = rules("record").into_iter().flat_map(|(name, query)| [name, query]);
    // An alert that finds something fires: what it is made of must be there.
    let alerts = rules("alert");
    let mut alerted: Vec<_> = alerts.iter().flat_map(|(_, query)| operands(query)).collect();
    for failure in FAILURES {
        let known = alerted.len();
        alerted.retain(|operand| *operand != failure);
        assert!(alerted.len() < known, "no alert asks for `{failure}`");
    }
    let alerted = alerted.into_iter().map(str::to_owned).chain(alerts.iter().flat_map(|(_, query)| series(query)));
    let mut waiting: Vec<_> = panels().into_iter().chain(recorded).chain(alerted).collect();
    let all = waiting.len();
    let started = Instant::now();
    while !waiting.is_empty() {
        waiting.retain(|query| prometheus.found(query).is_none_or(|found| found == 0));
        assert!(started.elapsed() < PATIENCE, "these find nothing: {waiting:#?}");
        // Prometheus scrapes every other second.
        std::thread::park_timeout(Duration::from_millis(200));
    }
    eprintln!("{all} queries, none of them empty, after {:.0?}", started.elapsed());
}
