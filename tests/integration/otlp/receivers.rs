//! The receivers: `oteltap` takes HTTP with protobuf and shows JSON, `rotel` takes gRPC and shows text.

mod json;
mod text;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use eventsource_tests::scratch::Scratch;
use eventsource_tests::services::free_port;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// How long a receiver may take to show what it has received.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take over the next line of what it shows at once.
const MOMENT: Duration = Duration::from_secs(5);

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
    Span(Box<SpanData>),
    Log(Log),
    Metric(Metric),
}

pub(super) trait Receiver {
    /// What came next.
    fn next(&mut self) -> Received;
}

/// A span as both show it: its ids in hexadecimal digits, the parent's empty at a root, and its start in nanoseconds.
/// What else it bears the caller adds.
fn span(name: &str, span_kind: SpanKind, [trace, id, parent]: [&str; 3], start: &str) -> SpanData {
    let start_time = SystemTime::UNIX_EPOCH + Duration::from_nanos(start.parse().unwrap());
    SpanData {
        span_context: context(trace, id),
        parent_span_id: if parent.is_empty() { SpanId::INVALID } else { SpanId::from_hex(parent).unwrap() },
        parent_span_is_remote: false,
        span_kind,
        name: name.to_owned().into(),
        start_time,
        end_time: start_time,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn context(trace: &str, id: &str) -> SpanContext {
    let (trace, id) = (TraceId::from_hex(trace).unwrap(), SpanId::from_hex(id).unwrap());
    SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE)
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
            let waits = if part.len() < 5 { PATIENCE } else { MOMENT };
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
            let json = serde_json::from_str(&self.output.next()).unwrap_or_default();
            if let Some(received) = json::received(&json) {
                return received;
            }
        }
    }
}

pub(super) struct Rotel {
    output: Output,
    port: u16,
    http_port: u16,
    /// Removed when it has ended.
    _scratch: Scratch,
}

impl Rotel {
    pub(super) fn start() -> Option<Self> {
        let program = program("ROTEL")?;
        let scratch = Scratch::new();
        let (port, http_port) = (free_port(), free_port());
        let mut command = Command::new(program);
        command.args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]);
        command.args(["--debug-log", "traces", "--debug-log", "logs", "--debug-log", "metrics"]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http_port}")]);
        let file = |name| scratch.folder().join(name);
        command.arg("--pid-file").arg(file("pid")).arg("--log-file").arg(file("log"));
        let mut output = Output::of(&mut command);
        assert!(output.next().contains("Starting"));
        Some(Self { output, port, http_port, _scratch: scratch })
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

impl Receiver for Rotel {
    fn next(&mut self) -> Received {
        loop {
            let head = self.output.next();
            if head.starts_with("Span #") {
                return Received::Span(Box::new(text::span(&self.output.part())));
            }
            if head.starts_with("LogRecord #") {
                return Received::Log(text::log(&self.output.part()));
            }
            if head.starts_with("Metric #") {
                return Received::Metric(text::metric(&self.output.part()));
            }
        }
    }
}
