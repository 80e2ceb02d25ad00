//! The receivers: `oteltap` takes HTTP with protobuf and shows JSON, `rotel` takes gRPC and shows text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

/// How long a receiver may take to show what it has received.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) kind: u64,
    pub(super) trace_id: String,
    pub(super) id: String,
    /// Empty at a root.
    pub(super) parent_id: String,
    pub(super) start: u64,
    /// The ids of the spans that it links to.
    pub(super) links: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) body: String,
    pub(super) severity: String,
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) unit: String,
    /// `sum`, `gauge` or `histogram`.
    pub(super) of: String,
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    pub(super) attributes: BTreeMap<String, String>,
    /// The value, or how many were measured in a histogram.
    pub(super) number: String,
}

#[derive(Debug)]
pub(super) enum Received {
    Span(Span),
    Log(Log),
    Metric(Metric),
}

pub(super) trait Receiver {
    /// What came next.
    fn next(&mut self) -> Received;
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program that a variable names; says that the test is skipped where it names none.
fn program(variable: &str) -> Option<OsString> {
    let program = std::env::var_os(variable);
    if program.is_none() {
        eprintln!("skipped: {variable} names no receiver");
    }
    program
}

/// A process whose output is read line by line; it ends with the test.
struct Output {
    process: Child,
    lines: mpsc::Receiver<String>,
    /// A line that was read too far.
    kept: Option<String>,
}

impl Output {
    fn of(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = process.stdout.take().expect("its output is piped");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process, lines, kept: None }
    }

    fn next(&mut self) -> String {
        let kept = self.kept.take();
        kept.unwrap_or_else(|| self.lines.recv_timeout(PATIENCE).expect("the receiver shows what it has received"))
    }

    /// The lines of one part, up to the head of another. The last part has no end that could be seen, so it is given a
    /// moment.
    fn part(&mut self) -> Vec<String> {
        let mut part = Vec::new();
        loop {
            let waits = if part.len() < 5 { PATIENCE } else { Duration::from_millis(300) };
            let Ok(line) = self.lines.recv_timeout(waits) else { return part };
            if is_head(&line) {
                self.kept = Some(line);
                return part;
            }
            part.push(line);
        }
    }
}

fn is_head(line: &str) -> bool {
    const HEADS: [&str; 9] = [
        "Span #",
        "LogRecord #",
        "Metric #",
        "ResourceSpans #",
        "ResourceLog #",
        "ResourceMetrics #",
        "ScopeSpans #",
        "ScopeLogs #",
        "ScopeMetrics #",
    ];
    HEADS.iter().any(|head| line.starts_with(head))
}

impl Drop for Output {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) struct Tap {
    output: Output,
    port: u16,
}

impl Tap {
    pub(super) fn start() -> Option<Self> {
        let port = free_port();
        let mut output = Output::of(Command::new(program("OTELTAP")?).args(["--port", &port.to_string()]));
        assert!(output.next().contains("Listening"));
        Some(Self { output, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Receiver for Tap {
    fn next(&mut self) -> Received {
        loop {
            let json: Value = serde_json::from_str(&self.output.next()).unwrap_or_default();
            let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
            if json["startTimeUnixNano"].is_string() && json["kind"].is_u64() {
                let links = json["links"].as_array().map(Vec::as_slice).unwrap_or_default();
                return Received::Span(Span {
                    name: text(&json, "name"),
                    kind: json["kind"].as_u64().unwrap_or_default(),
                    trace_id: text(&json, "traceId"),
                    id: text(&json, "spanId"),
                    parent_id: text(&json, "parentSpanId"),
                    start: text(&json, "startTimeUnixNano").parse().unwrap(),
                    links: links.iter().map(|link| text(link, "spanId")).collect(),
                });
            }
            if json["severityText"].is_string() {
                return Received::Log(Log {
                    body: text(&json["body"], "stringValue"),
                    severity: text(&json, "severityText"),
                    trace_id: text(&json, "traceId"),
                    span_id: text(&json, "spanId"),
                });
            }
            if let Some(metric) = metric_of_json(&json) {
                return Received::Metric(metric);
            }
        }
    }
}

fn metric_of_json(json: &Value) -> Option<Metric> {
    let of = ["sum", "gauge", "histogram"].into_iter().find(|of| json[of].is_object())?;
    let attributes = |point: &Value| {
        let attributes = point["attributes"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        attributes.filter_map(|of| Some((text(&of["key"])?, text(&of["value"]["stringValue"])?))).collect()
    };
    let number = |point: &Value| {
        let numbers = ["asInt", "asDouble", "count"].map(|key| &point[key]);
        let number = numbers.into_iter().find(|number| !number.is_null()).expect("a point has a number");
        number.as_str().map_or_else(|| number.to_string(), str::to_owned)
    };
    let points = json[of]["dataPoints"].as_array()?.iter();
    let points = points.map(|point| Point { attributes: attributes(point), number: number(point) });
    let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    Some(Metric { name: text("name"), unit: text("unit"), of: of.to_owned(), points: points.collect() })
}

pub(super) struct Rotel {
    output: Output,
    port: u16,
    http_port: u16,
    files: PathBuf,
}

impl Rotel {
    pub(super) fn start() -> Option<Self> {
        let program = program("ROTEL")?;
        let files = std::env::temp_dir().join(format!("eventsource-rotel-{}", Uuid::now_v7()));
        let (port, http_port) = (free_port(), free_port());
        let mut command = Command::new(program);
        command.args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]);
        command.args(["--debug-log", "traces", "--debug-log", "logs", "--debug-log", "metrics"]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http_port}")]);
        command.arg("--pid-file").arg(files.with_extension("pid")).arg("--log-file").arg(files.with_extension("log"));
        let mut output = Output::of(&mut command);
        assert!(output.next().contains("Starting"));
        Some(Self { output, port, http_port, files })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn http_port(&self) -> u16 {
        self.http_port
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        for extension in ["pid", "log"] {
            let _ = std::fs::remove_file(self.files.with_extension(extension));
        }
    }
}

impl Receiver for Rotel {
    fn next(&mut self) -> Received {
        loop {
            let head = self.output.next();
            if head.starts_with("Span #") {
                return Received::Span(span(&self.output.part()));
            }
            if head.starts_with("LogRecord #") {
                return Received::Log(log(&self.output.part()));
            }
            if head.starts_with("Metric #") {
                return Received::Metric(metric(&self.output.part()));
            }
        }
    }
}

/// What stands behind the name of a field, in the first line that has it.
fn field<'a>(lines: &'a [String], name: &str) -> &'a str {
    let of = |line: &'a String| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    };
    lines.iter().find_map(of).unwrap_or_default()
}

fn span(lines: &[String]) -> Span {
    let kind = match field(lines, "Kind") {
        "SPAN_KIND_INTERNAL" => 1,
        "SPAN_KIND_SERVER" => 2,
        "SPAN_KIND_CLIENT" => 3,
        "SPAN_KIND_PRODUCER" => 4,
        "SPAN_KIND_CONSUMER" => 5,
        other => panic!("{other}: {lines:#?}"),
    };
    let linked = lines.iter().position(|line| line == "Links:").map_or(&[][..], |from| &lines[from..]);
    let linked = linked.iter().filter_map(|line| line.trim().strip_prefix("-> ID: "));
    Span {
        name: field(lines, "Name").to_owned(),
        kind,
        trace_id: field(lines, "Trace ID").to_owned(),
        id: field(lines, "ID").to_owned(),
        parent_id: field(lines, "Parent ID").to_owned(),
        start: field(lines, "Start time").parse().unwrap(),
        links: linked.map(str::to_owned).collect(),
    }
}

fn log(lines: &[String]) -> Log {
    let body = field(lines, "Body");
    Log {
        body: body.strip_prefix("Str(").and_then(|text| text.strip_suffix(')')).unwrap_or(body).to_owned(),
        severity: field(lines, "SeverityText").to_owned(),
        trace_id: field(lines, "Trace ID").to_owned(),
        span_id: field(lines, "Span ID").to_owned(),
    }
}

fn metric(lines: &[String]) -> Metric {
    let of = |name: &str| field(lines, &format!("-> {name}"));
    let mut metric = Metric {
        name: of("Name").to_owned(),
        unit: of("Unit").to_owned(),
        of: of("DataType").to_lowercase(),
        points: Vec::new(),
    };
    for line in lines {
        if line.contains("DataPoints #") {
            metric.points.push(Point::default());
        }
        let Some(point) = metric.points.last_mut() else { continue };
        match line.split_once(": ") {
            Some(("Value" | "Count", number)) => number.clone_into(&mut point.number),
            Some((key, value)) if key.trim_start().starts_with("-> ") => {
                let value = value.strip_prefix("Str(").and_then(|text| text.strip_suffix(')')).unwrap_or(value);
                point.attributes.insert(key.trim_start().trim_start_matches("-> ").to_owned(), value.to_owned());
            }
            _ => {}
        }
    }
    metric
}
