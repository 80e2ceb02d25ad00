//! What the OTLP variables say about one signal, as the specification of its exporters demands.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::grpc::Grpc;
use super::tls::{self, Tls};
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::init::env::{ENDPOINT, Env, Signal, decode, variables};

/// How long an export may take by default.
const TIMEOUT: Duration = Duration::from_secs(10);
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
/// What counts as no limit.
const FOR_EVER: Duration = Duration::from_hours(24 * 49);

/// How a signal is sent. It has no `Debug`: it may hold a private key.
pub(super) struct Settings {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) url: String,
    pub(super) timeout: Duration,
    pub(super) headers: HeaderMap,
    /// If the address asks for it.
    pub(super) tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc(Grpc),
}

impl Settings {
    pub(super) fn read(env: &Env, signal: Signal) -> Result<Self, TelemetryError> {
        tell_what_the_exporter_ignores(env, signal);
        let protocol = protocol(env, signal)?;
        let (variable, url) = address(env, signal, protocol);
        let url = with_scheme(env, signal, protocol, variable, url)?;
        let tls = if url.starts_with("https://") { Some(tls::read(env, signal, variable)?) } else { None };
        Ok(Self { signal, protocol, url, timeout: timeout(env, signal), headers: headers(env, signal), tls })
    }
}

/// The exporter's crate reads these itself, and is silent about a value without a meaning.
fn tell_what_the_exporter_ignores(env: &Env, signal: Signal) {
    for variable in signal.of(variables!("COMPRESSION")) {
        if is_one_of(env, variable, &["gzip", "none"], "write `gzip` or `none`") {
            break;
        }
    }
    if let Signal::Metrics = signal {
        let known = ["cumulative", "delta", "lowmemory"];
        is_one_of(env, TEMPORALITY, &known, "write `cumulative`, `delta` or `lowmemory`");
    }
}

/// Whether a variable has one of these values; another one is told.
fn is_one_of(env: &Env, variable: &str, known: &[&str], hint: &'static str) -> bool {
    let Some(text) = env.get(variable) else { return false };
    let is_known = known.contains(&&*text.to_ascii_lowercase());
    if !is_known {
        env.ignored.add(variable, text, hint);
    }
    is_known
}

fn protocol(env: &Env, signal: Signal) -> Result<Protocol, TelemetryError> {
    let Some((variable, named)) = env.own_or_general(signal, variables!("PROTOCOL")) else { return Ok(Protocol::Http) };
    match &*named.to_ascii_lowercase() {
        "http/protobuf" => Ok(Protocol::Http),
        "grpc" => Grpc::chosen_by(variable).map(Protocol::Grpc),
        _ => Err(TelemetryError::Unsupported {
            variable,
            value: named.to_owned(),
            hint: "write `http/protobuf`, as a rule with port 4318, or `grpc`, as a rule with port 4317",
        }),
    }
}

/// The variable that says where to send, and its value; the signal's path is appended only to the general one, and only
/// for HTTP.
fn address(env: &Env, signal: Signal, protocol: Protocol) -> (&'static str, String) {
    let (variable, base) = match (env.endpoint(signal), protocol) {
        (Some((variable, url)), _) => (variable, url),
        (None, Protocol::Http) => (signal.exporter_variable(), "http://localhost:4318"),
        (None, Protocol::Grpc(_)) => (signal.exporter_variable(), "http://localhost:4317"),
    };
    let url = match protocol {
        Protocol::Http if variable != signal.of(ENDPOINT)[0] => {
            format!("{}/v1/{}", base.trim_end_matches('/'), signal.name())
        }
        Protocol::Http | Protocol::Grpc(_) => base.to_owned(),
    };
    (variable, url)
}

/// Refuses what would build and then lose everything at the first export. Only for gRPC may a scheme be missing.
fn with_scheme(
    env: &Env,
    signal: Signal,
    protocol: Protocol,
    variable: &'static str,
    url: String,
) -> Result<String, TelemetryError> {
    let refused = |value: String, hint| Err(TelemetryError::Unsupported { variable, value, hint });
    let authority = url.split_once("://").map_or(&*url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    if authority.contains('@') {
        let shown = "an address with a user or a password".to_owned();
        return refused(shown, "write them into `OTEL_EXPORTER_OTLP_HEADERS`, as the receiver wants them");
    }
    let malformed = |url: String| {
        // Nothing tells where in it a secret is.
        let shown = if url.contains(['@', '?']) { "what is no address".to_owned() } else { url };
        refused(shown, "write `http://` or `https://`, then a host")
    };
    if authority.is_empty() {
        return malformed(url);
    }
    match url.split_once("://") {
        Some(("http" | "https", _)) => Ok(url),
        None if protocol != Protocol::Http => {
            let insecure = env.own_or_general(signal, variables!("INSECURE"));
            let insecure = insecure.is_some_and(|(name, value)| env.is_true(name, value));
            Ok(format!("{}://{url}", if insecure { "http" } else { "https" }))
        }
        _ => malformed(url),
    }
}

/// How long an export may take: OTLP's own variable, limited by that of the batches.
fn timeout(env: &Env, signal: Signal) -> Duration {
    let of_batches = match signal {
        Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
        Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
        Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
    };
    let own = signal.of(variables!("TIMEOUT")).into_iter().find_map(|variable| milliseconds(env, variable));
    let own = own.unwrap_or(TIMEOUT);
    milliseconds(env, of_batches).map_or(own, |most| own.min(most))
}

/// Zero means no limit, as the specification has it. Nonsense counts as unset.
fn milliseconds(env: &Env, variable: &str) -> Option<Duration> {
    let text = env.get(variable)?;
    match text.parse() {
        Ok(0) => Some(FOR_EVER),
        Ok(number) => Some(Duration::from_millis(number)),
        Err(_) => {
            env.ignored.add(variable, text, "write a number of milliseconds");
            None
        }
    }
}

/// The headers of each request. The exporter's crate reads the same variables, and adds their headers once more; but to
/// it an empty one of the signal hides the general one.
fn headers(env: &Env, signal: Signal) -> HeaderMap {
    let Some((variable, text)) = env.own_or_general(signal, variables!("HEADERS")) else { return HeaderMap::new() };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read = |pair| {
        let header = header(pair);
        if header.is_none() {
            // The value may be a secret.
            env.ignored.add(variable, "one of its pairs", "write `name=value,name=value`, with `,` as `%2C`");
        }
        header
    };
    pairs.filter_map(read).collect()
}

/// A header of `key=value`; `None` if it is malformed.
fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let decoded = decode(value).unwrap_or_else(|| value.to_owned());
    let mut value = HeaderValue::from_str(&decoded).ok()?;
    // Otherwise the client would show it in its `Debug`.
    value.set_sensitive(true);
    Some((name.parse().ok()?, value))
}
