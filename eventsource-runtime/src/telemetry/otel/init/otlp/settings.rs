//! What the OTLP variables say about one signal, as the specification of its exporters demands.

use std::time::Duration;

use opentelemetry_otlp::Compression;
use opentelemetry_sdk::metrics::Temporality;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::grpc::Grpc;
use super::tls::{self, Tls};
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::init::env::{ENDPOINT, Env, Signal, decode, variables};

/// How long an export may take by default.
const TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
/// What counts as no limit.
const FOR_EVER: Duration = Duration::from_hours(24 * 49);

/// How a signal is sent. It has no `Debug`: it may hold a private key.
pub(super) struct Settings {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) url: String,
    pub(super) timeout: Duration,
    pub(super) headers: HeaderMap,
    pub(super) compression: Option<Compression>,
    /// Of metrics alone.
    pub(super) temporality: Temporality,
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
        let protocol = protocol(env, signal)?;
        let (variable, url) = address(env, signal, protocol)?;
        Ok(Self {
            signal,
            protocol,
            timeout: timeout(env, signal),
            headers: headers(env, signal),
            compression: compression(env, signal),
            temporality: if let Signal::Metrics = signal { temporality(env) } else { Temporality::default() },
            tls: if url.scheme() == "https" { Some(tls::read(env, signal, variable)?) } else { None },
            url: url.into(),
        })
    }
}

fn compression(env: &Env, signal: Signal) -> Option<Compression> {
    let known = [("gzip", Some(Compression::Gzip)), ("none", None)];
    let of = |variable| one_of(env, variable, &known, "write `gzip` or `none`");
    signal.of(variables!("COMPRESSION")).into_iter().find_map(of).flatten()
}

fn temporality(env: &Env) -> Temporality {
    let known =
        [("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta), ("lowmemory", Temporality::LowMemory)];
    one_of(env, TEMPORALITY, &known, "write `cumulative`, `delta` or `lowmemory`").unwrap_or_default()
}

/// Which of these values a variable has; another one is told.
fn one_of<T: Copy>(env: &Env, variable: &str, known: &[(&str, T)], hint: &'static str) -> Option<T> {
    let text = env.get(variable)?;
    let meant = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    if meant.is_none() {
        env.ignored.add(variable, text, hint);
    }
    meant.map(|(_, value)| *value)
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

/// The variable that says where to send, and where that is; the signal's path is appended only to the general one, and
/// only for HTTP.
fn address(env: &Env, signal: Signal, protocol: Protocol) -> Result<(&'static str, Url), TelemetryError> {
    let (variable, written) = match (env.endpoint(signal), protocol) {
        (Some((variable, written)), _) => (variable, written),
        (None, Protocol::Http) => (signal.exporter_variable(), "http://localhost:4318"),
        (None, Protocol::Grpc(_)) => (signal.exporter_variable(), "http://localhost:4317"),
    };
    let mut url = url(env, signal, protocol, variable, written)?;
    if protocol == Protocol::Http && variable != signal.of(ENDPOINT)[0] {
        let path = format!("{}/v1/{}", url.path().trim_end_matches('/'), signal.name());
        url.set_path(&path);
    }
    Ok((variable, url))
}

/// Refuses what would build and then lose everything at the first export. Only for gRPC may a scheme be missing.
fn url(
    env: &Env,
    signal: Signal,
    protocol: Protocol,
    variable: &'static str,
    written: &str,
) -> Result<Url, TelemetryError> {
    let refused = |value: &str, hint| TelemetryError::Unsupported { variable, value: value.to_owned(), hint };
    let malformed = || {
        // Nothing tells where in anything else a secret is.
        let shown = if is_host(written) { written } else { "what is no address" };
        refused(shown, "write `http://` or `https://`, then a host, and `:` and a port if it needs one")
    };
    let (scheme, rest) = match written.split_once("://") {
        Some(parts) => parts,
        None if protocol == Protocol::Http => return Err(malformed()),
        None => {
            let insecure = env.own_or_general(signal, variables!("INSECURE"));
            let insecure = insecure.is_some_and(|(name, value)| env.is_true(name, value));
            (if insecure { "http" } else { "https" }, written)
        }
    };
    // Otherwise a path would be taken for the host.
    if rest.starts_with(['/', '\\']) {
        return Err(malformed());
    }
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| malformed())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(malformed());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let shown = "an address with a user or a password";
        return Err(refused(shown, "write them into `OTEL_EXPORTER_OTLP_HEADERS`, as the receiver wants them"));
    }
    Ok(url)
}

/// Whether there is a host alone, with or without a scheme and a port.
fn is_host(written: &str) -> bool {
    let rest = written.split_once("://").map_or(written, |(_, rest)| rest);
    let (host, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let is_of_host = |letter: char| letter.is_ascii_alphanumeric() || "-._[]:".contains(letter);
    host.chars().all(is_of_host) && port.chars().all(|letter| letter.is_ascii_digit())
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
