//! How each signal is sent, and where it is not.

use reqwest::header::HeaderValue;

use super::*;

const OWN: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[test]
fn a_signal_has_its_own_time_out_and_compression_or_the_general_ones() {
    let env = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "20000"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
    ];
    let of = |signal| {
        let Settings { timeout, compression, .. } = settings(signal, &env);
        (timeout.as_millis(), compression)
    };
    assert_eq!(of(Signal::Traces), (300, None));
    assert_eq!([Signal::Metrics, Signal::Logs].map(of), [(20_000, Some(Compression::Gzip)); 2]);
}

/// Clients show in their `Debug` what is not marked as a secret.
#[test]
fn headers_are_marked_as_secrets() {
    let settings = settings(Signal::Traces, &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x,team=y")]);
    assert_eq!(settings.headers.len(), 2);
    assert!(settings.headers.values().all(HeaderValue::is_sensitive));
}

/// What of a request says that its body is compressed, when a span is sent.
fn encoding(compression: &str) -> Vec<String> {
    let (address, told) = receiver_that_tells(|request| {
        request.lines().find(|line| line.starts_with("content-encoding: ")).unwrap_or_default()
    });
    let telemetry = builder(&[(OWN, &address), ("OTEL_EXPORTER_OTLP_COMPRESSION", compression)]).build().unwrap();
    let attached = telemetry.attach();
    span("sent").in_scope(|| ());
    drop(attached);
    telemetry.shutdown_blocking().unwrap();
    told.try_iter().collect()
}

#[test]
fn what_is_sent_is_compressed_if_that_is_asked_for() {
    assert_eq!(encoding("gzip"), ["content-encoding: gzip"]);
    assert_eq!(encoding("none"), [""]);
}

/// The headers, and with them the secrets, would go wherever a receiver says.
#[test]
fn a_redirect_is_a_failure_and_not_followed() {
    let (elsewhere, told) = receiver();
    for code in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {code} Moved\r\nlocation: {elsewhere}/there\r\ncontent-length: 0\r\n\r\n");
        let (address, _told) = receiver_that_answers(answer.leak().as_bytes());
        let said = trouble(&format!("{address}/v1/traces"));
        assert!(said.contains(&format!("answers {code}")), "{said}");
    }
    assert_eq!(told.try_iter().count(), 0);
}

/// How an export ends for whose receiver there is no answer, if it ends.
fn unanswered(protocol: &'static str) -> Result<String, mpsc::RecvTimeoutError> {
    let (_listener, address) = silent();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let env = [
            (OWN, &*address),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "300"),
        ];
        // Nobody else ends it.
        let telemetry = builder(&env).shutdown_timeout(Duration::from_hours(1)).build().unwrap();
        let attached = telemetry.attach();
        span("sent").in_scope(|| ());
        drop(attached);
        let _ = tell.send(telemetry.shutdown_blocking().unwrap_err().to_string());
    });
    told.recv_timeout(Duration::from_mins(1))
}

#[test]
fn an_export_without_an_answer_ends_in_its_own_time() {
    for protocol in PROTOCOLS {
        unanswered(protocol).unwrap_or_else(|late| panic!("{protocol}: {late}"));
    }
}
