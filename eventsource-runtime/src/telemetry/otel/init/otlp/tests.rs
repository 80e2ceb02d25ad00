//! The variables of OTLP, and what leaves a program.

mod sent;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use opentelemetry_otlp::Compression;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanExporter;

use super::settings::{Protocol, Settings, TEMPORALITY};
use super::{LastResponse, Losses, Otlp};
use crate::telemetry::otel::init::env::{Env, Signal};
use crate::telemetry::otel::init::tests::{LATE, builder, current_thread};
use crate::telemetry::otel::init::{Telemetry, TelemetryBuilder};
use crate::telemetry::otel::metrics;
use crate::telemetry::otel::tree::tests::span as ended;
use crate::telemetry::{TelemetryError, log, span};

const GENERAL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOLS: &[&str] = if cfg!(feature = "otlp-grpc") { &["http/protobuf", "grpc"] } else { &["http/protobuf"] };

fn settings(signal: Signal, env: &[(&str, &str)]) -> Settings {
    Settings::read(&Env::of(env), signal).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_signal_has_its_own_endpoint_or_the_general_one_with_its_path() {
    let env = [(GENERAL, "http://collector:4318/"), ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics/in")];
    assert_eq!(settings(Signal::Traces, &env).url, "http://collector:4318/v1/traces");
    assert_eq!(settings(Signal::Metrics, &env).url, "http://metrics/in");
    assert_eq!(settings(Signal::Logs, &env).url, "http://collector:4318/v1/logs");
    assert_eq!(settings(Signal::Logs, &[]).url, "http://localhost:4318/v1/logs");
    assert_eq!(Env::of(&[(GENERAL, " ")]).endpoint(Signal::Traces), None);
}

/// The path was appended to the query.
#[test]
fn an_address_keeps_what_stands_behind_its_path() {
    let url = |variable, written| settings(Signal::Traces, &[(variable, written)]).url;
    assert_eq!(url(GENERAL, "HTTP://here:4318?key=a"), "http://here:4318/v1/traces?key=a");
    assert_eq!(url(GENERAL, "http://here/in/?key=a"), "http://here/in/v1/traces?key=a");
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    assert_eq!(url(own, "http://here/in?key=a \"b\""), "http://here/in?key=a%20%22b%22");
}

/// The exporter's crate takes no blanks.
#[test]
fn blanks_and_case_change_no_value() {
    let read = |compression, temporality| {
        let env = [("OTEL_EXPORTER_OTLP_COMPRESSION", compression), (TEMPORALITY, temporality)];
        let Settings { compression, temporality, .. } = settings(Signal::Metrics, &env);
        (compression, temporality)
    };
    assert_eq!(read(" GZip\r", " Delta"), (Some(Compression::Gzip), Temporality::Delta));
    assert_eq!(read("none", "lowmemory"), (None, Temporality::LowMemory));
    assert_eq!(read("zstd", "diff"), (None, Temporality::Cumulative));
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn a_signal_has_its_own_protocol_or_the_general_one() {
    let env = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        (GENERAL, "http://collector:4317"),
    ];
    let traces = settings(Signal::Traces, &env);
    assert_eq!((traces.protocol != Protocol::Http, &*traces.url), (true, "http://collector:4317/"));
    let logs = settings(Signal::Logs, &env);
    assert_eq!((logs.protocol, &*logs.url), (Protocol::Http, "http://collector:4317/v1/logs"));
    assert_eq!(settings(Signal::Traces, &env[..1]).url, "http://localhost:4317/");
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn an_address_of_grpc_without_a_scheme_is_safe_unless_said_otherwise() {
    let env = |insecure| {
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), (GENERAL, "here:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", insecure)]
    };
    assert_eq!(settings(Signal::Traces, &env("TRUE")).url, "http://here:4317/");
    let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true");
    assert_eq!(settings(Signal::Traces, &[&env("false")[..], &[of_traces]].concat()).url, "http://here:4317/");
    match Settings::read(&Env::of(&env("false")), Signal::Traces) {
        Ok(settings) => assert_eq!(settings.url, "https://here:4317/"),
        Err(error) => assert!(error.to_string().contains("otlp-tls"), "{error}"),
    }
}

#[test]
fn a_time_out_is_in_milliseconds_and_nonsense_is_passed_over() {
    let timeout = |text| settings(Signal::Traces, &[("OTEL_EXPORTER_OTLP_TIMEOUT", text)]).timeout.as_millis();
    assert_eq!([timeout("250"), timeout("soon"), timeout("")], [250, 10_000, 10_000]);
    let env = [("OTEL_EXPORTER_OTLP_TIMEOUT", "20000"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")];
    assert_eq!(settings(Signal::Traces, &env).timeout.as_secs(), 20);
    assert!(timeout("0") > 1000 * 60 * 60 * 24, "no limit");
}

#[test]
fn an_export_takes_no_longer_than_a_batch_may() {
    for (signal, variable) in [
        (Signal::Traces, "OTEL_BSP_EXPORT_TIMEOUT"),
        (Signal::Metrics, "OTEL_METRIC_EXPORT_TIMEOUT"),
        (Signal::Logs, "OTEL_BLRP_EXPORT_TIMEOUT"),
    ] {
        let timeout =
            |text, own| settings(signal, &[(variable, text), ("OTEL_EXPORTER_OTLP_TIMEOUT", own)]).timeout.as_millis();
        assert_eq!([timeout("250", ""), timeout("250", "100"), timeout("60000", "")], [250, 100, 10_000], "{variable}");
        assert_eq!([timeout("soon", "300"), timeout("30s", "20000")], [300, 20_000], "{variable}");
        assert_eq!(timeout("0", "300"), 300, "{variable}");
    }
}

#[test]
fn what_would_lose_everything_later_is_refused_at_once() {
    for env in [
        [(GENERAL, "http://localhost:4318"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")],
        [(GENERAL, "http://localhost:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift")],
        [(GENERAL, "localhost:4318"), ("", "")],
        [(GENERAL, "ftp://localhost:4318"), ("", "")],
        [(GENERAL, "http://"), ("", "")],
        [(GENERAL, "http://ada:secret@localhost:4318"), ("", "")],
        [(GENERAL, "http:/ada:secret@localhost:4318"), ("", "")],
        [(GENERAL, "http:///ada:secret@localhost:4318"), ("", "")],
        [(GENERAL, "ftp://localhost:4318?key=secret"), ("", "")],
        [(GENERAL, "http://local host/?key=secret"), ("", "")],
        [(GENERAL, "http://ada:secret"), ("", "")],
        [(GENERAL, "http://local host/secret"), ("", "")],
        [(GENERAL, "http://localhost:99999"), ("", "")],
        [(GENERAL, "http://:4318"), ("", "")],
    ] {
        let error = builder(&env).build().unwrap_err();
        assert!(matches!(error, TelemetryError::Unsupported { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let error = builder(&[(GENERAL, "localhost:4318")]).build().unwrap_err();
    assert!(error.to_string().contains("localhost:4318") && !error.to_string().contains("v1"), "{error}");
}

#[cfg(not(feature = "otlp-grpc"))]
#[test]
fn grpc_without_the_feature_is_an_error_that_names_it() {
    let error = builder(&[(GENERAL, "http://localhost:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).build();
    assert!(error.unwrap_err().to_string().contains("`otlp-grpc`"));
}

#[cfg(not(feature = "otlp-tls"))]
#[test]
fn tls_without_the_feature_is_an_error_that_names_it() {
    let error = builder(&[(GENERAL, "https://localhost")]).build().unwrap_err().to_string();
    assert!(error.contains("`otlp-tls`") && error.contains(GENERAL), "{error}");
}

#[cfg(feature = "otlp-tls")]
#[test]
fn a_certificate_that_is_not_there_or_stands_alone_is_told() {
    for &protocol in PROTOCOLS {
        let refused = |variable, path| {
            let env = [(GENERAL, "https://localhost"), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol), (variable, path)];
            builder(&env).build().unwrap_err()
        };
        let missing = refused("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem");
        assert!(matches!(missing, TelemetryError::Unreadable { .. }), "{missing}");
        assert!(missing.to_string().contains("/nowhere/ca.pem"), "{missing}");
        let alone = refused("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/dev/null");
        assert!(alone.to_string().contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{alone}");
        let empty = refused("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null");
        assert!(matches!(empty, TelemetryError::Exporter { .. }), "{protocol}: {empty}");
    }
}

/// Takes requests and answers them with nothing; tells their paths.
fn receiver() -> (String, Receiver<String>) {
    receiver_that_tells(|request| request.split_whitespace().nth(1).unwrap_or_default())
}

fn receiver_that_tells(what: fn(&str) -> &str) -> (String, Receiver<String>) {
    receiver_of(what, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
}

fn receiver_that_answers(answer: &'static [u8]) -> (String, Receiver<String>) {
    receiver_of(|_| "", answer)
}

fn receiver_of(what: fn(&str) -> &str, says: &'static [u8]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            std::thread::spawn(move || answer(stream.unwrap(), (what, says), &tell));
        }
    });
    (address, told)
}

fn answer(mut stream: TcpStream, (what, says): (fn(&str) -> &str, &[u8]), tell: &mpsc::Sender<String>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some(head) = text.find("\r\n\r\n") else {
            if read == 0 {
                return;
            }
            continue;
        };
        let lower = text.to_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        if text.contains("x-protobuf") && request.len() >= head + 4 + length.unwrap_or(0) {
            // Before the answer: who has that may look for what was told.
            tell.send(what(&text).to_owned()).unwrap();
            stream.write_all(says).unwrap();
            request.clear();
        }
    }
}

#[test]
fn spans_metrics_and_logs_leave_a_program_with_one_thread() {
    let (address, told) = receiver();
    current_thread().block_on(async {
        let telemetry = builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]).build().unwrap();
        telemetry
            .run(async {
                span("sent").run(tokio::task::yield_now()).await;
                metrics::append_conflict("Order");
                log::command_retried("PlaceOrder", "1", 1);
            })
            .await;
        telemetry.shutdown().await.unwrap();
    });
    let mut paths: Vec<_> = told.try_iter().collect();
    paths.sort();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
}

/// The end of a connection, where nobody listens, and nobody else can while it is held.
fn gone() -> ((TcpListener, TcpStream), SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let gone = held.local_addr().unwrap();
    ((listener, held), gone)
}

#[test]
fn a_receiver_that_is_not_there_is_told_and_costs_nothing_else() {
    let (_held, gone) = gone();
    let endpoint = format!("http://{gone}/v1/traces");
    let telemetry = builder(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]).build().unwrap();
    {
        let _attached = telemetry.attach();
        span("lost").in_scope(|| ());
    }
    assert!(telemetry.shutdown_blocking().is_err());
}

/// What a flush and the log say of a receiver at that address.
fn trouble(endpoint: &str) -> String {
    let env = Env::of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]);
    let losses = Arc::<Losses>::default();
    let otlp = Otlp::new(&env, &losses);
    let make = |settings: &Settings, last: &Arc<LastResponse>| {
        Ok(super::http::prepared(opentelemetry_otlp::SpanExporter::builder().with_http(), settings, last)?.build())
    };
    let exporter = otlp.made(Signal::Traces, make).unwrap();
    let sent = SpanExporter::export(&exporter, vec![ended(1, 2, 0, "a", 0, 1)]);
    let in_time = async { tokio::time::timeout(Duration::from_mins(1), sent).await.expect("it ends") };
    current_thread().block_on(in_time).unwrap_err().to_string()
}

/// It was `network error`, whatever it was.
#[test]
fn why_a_receiver_is_not_reached_is_told_with_its_address_and_no_secret() {
    let (_held, gone) = gone();
    let refused = trouble(&format!("http://{gone}/v1/traces?key=secret"));
    assert!(refused.contains(&format!("http://{gone}: ")) && refused.contains("refused"), "{refused}");
    let (_listener, address) = silent();
    let silence = trouble(&format!("{address}/secret"));
    assert!(silence.contains(&address), "{silence}");
    let (address, _told) = receiver_that_answers(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    let unauthorized = trouble(&format!("{address}/secret"));
    assert!(unauthorized.contains(&format!("{address} answers 401 Unauthorized")), "{unauthorized}");
    for told in [refused, silence, unauthorized] {
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn logs_are_sent_or_not_as_the_environment_says() {
    let (address, told) = receiver();
    let send = |exporter| {
        let env = [(GENERAL, &*address), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", exporter)];
        let telemetry = builder(&env).build().unwrap();
        let attached = telemetry.attach();
        log::command_retried("PlaceOrder", "1", 1);
        drop(attached);
        telemetry.shutdown_blocking().unwrap();
        told.try_iter().filter(|path| path == "/v1/logs").count()
    };
    assert_eq!([send("otlp"), send("none"), send("console")], [1, 0, 0]);
}

/// The exporter's crate takes the empty one, and sent nothing.
#[test]
fn an_empty_variable_of_headers_leaves_the_general_one_its_say() {
    let (address, told) = receiver_that_tells(|request| {
        request.lines().find(|line| line.starts_with("authorization: ")).unwrap_or_default()
    });
    for (own, sent) in [("", "authorization: Basic eA=="), ("authorization=own", "authorization: own")] {
        let env = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*address),
            ("OTEL_EXPORTER_OTLP_HEADERS", "team=b, authorization=Basic%20eA%3D%3D"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", own),
        ];
        let telemetry = builder(&env).build().unwrap();
        let attached = telemetry.attach();
        span("sent").in_scope(|| ());
        drop(attached);
        telemetry.shutdown_blocking().unwrap();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [sent]);
    }
}

const DEADLINE: Duration = Duration::from_millis(300);

fn assert_in_time(started: Instant, result: &Result<(), TelemetryError>) {
    assert!(matches!(result, Err(TelemetryError::TimedOut { .. })), "{result:?}");
    assert!(started.elapsed() <= DEADLINE + LATE, "{:?}", started.elapsed());
}

/// Takes connections and says nothing on them.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// Telemetry whose last span, metrics and log record nobody will take.
fn stuck(protocol: &str, address: &str) -> Telemetry {
    let env = [(GENERAL, address), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
    let telemetry = builder(&env).shutdown_timeout(DEADLINE).build().unwrap();
    let attached = telemetry.attach();
    span("stuck").in_scope(|| log::command_retried("PlaceOrder", "1", 1));
    metrics::append_conflict("Order");
    drop(attached);
    telemetry
}

#[test]
fn a_receiver_that_says_nothing_holds_up_no_shutdown() {
    let (_listener, address) = silent();
    for protocol in PROTOCOLS {
        let started = Instant::now();
        assert_in_time(started, &stuck(protocol, &address).shutdown_blocking());
        current_thread().block_on(async {
            let telemetry = stuck(protocol, &address);
            let started = Instant::now();
            assert_in_time(started, &telemetry.shutdown().await);
            telemetry.shutdown().await.unwrap();
            let telemetry = stuck(protocol, &address);
            let started = Instant::now();
            // Blocks the runtime's only thread, which exporting does not need.
            assert_in_time(started, &telemetry.shutdown_blocking());
        });
    }
}

/// The exporters are made within a runtime that has ended when they have to work.
#[test]
fn exporting_needs_nothing_of_the_runtime_that_it_was_set_up_in() {
    let (address, told) = receiver();
    let telemetry = current_thread().block_on(async { builder(&[(GENERAL, &*address)]).build().unwrap() });
    let attached = telemetry.attach();
    span("late").in_scope(|| ());
    drop(attached);
    telemetry.shutdown_blocking().unwrap();
    assert!(told.try_iter().any(|path| path == "/v1/traces"));
}

/// Whoever exports log events does not want them between the trees as well.
#[test]
fn what_is_exported_is_not_printed_beside_the_trees() {
    let stands_in = |mut builder: TelemetryBuilder| {
        builder.add_exporters().unwrap();
        builder.printing.as_ref().is_some_and(|printing| printing.stands_in)
    };
    let trees = ("OTEL_TRACES_EXPORTER", "console");
    assert!(stands_in(builder(&[trees])));
    assert!(!stands_in(builder(&[trees, ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:1/v1/logs")])));
    let exporter = opentelemetry_sdk::logs::InMemoryLogExporter::default();
    assert!(!stands_in(builder(&[trees]).log_exporter(exporter)));
}
