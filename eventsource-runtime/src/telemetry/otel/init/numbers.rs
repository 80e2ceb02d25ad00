//! Numbers of the environment that OpenTelemetry's SDK would read by itself. It takes zero literally: its threads then
//! never rest and its batches have no room; here zero counts as unset.

use std::num::{NonZeroU64, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::ignored::Ignored;

/// How many items may wait by default, as in OpenTelemetry.
const MOST_WAITING: usize = 2048;
/// The longest queue: room for a million spans is hundreds of megabytes.
const MOST_ROOM: usize = 1 << 20;
/// How often metrics are exported by default, as in OpenTelemetry.
const INTERVAL: Duration = Duration::from_mins(1);

/// A size, however the set-up was made.
pub(super) fn size(variable: &str, otherwise: usize, ignored: &Ignored) -> usize {
    said::<NonZeroUsize>(variable, ignored).map_or(otherwise, NonZeroUsize::get)
}

/// The size of a queue, however the set-up was made: more than a million only as far as memory goes, since the SDK
/// allocates room for all of them at once.
pub(super) fn most_waiting(variable: &str, ignored: &Ignored) -> usize {
    size(variable, MOST_WAITING, ignored).min(MOST_ROOM)
}

/// A number of milliseconds, however the set-up was made.
pub(super) fn milliseconds(variable: &str, otherwise: Duration, ignored: &Ignored) -> Duration {
    said::<NonZeroU64>(variable, ignored).map_or(otherwise, |number| Duration::from_millis(number.get()))
}

/// Gives an exporter the metrics every `OTEL_METRIC_EXPORT_INTERVAL`.
pub(super) fn periodic<E: PushMetricExporter>(exporter: E, ignored: &Ignored) -> PeriodicReader<E> {
    let interval = milliseconds("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL, ignored);
    PeriodicReader::builder(exporter).with_interval(interval).build()
}

fn said<N: FromStr>(variable: &str, ignored: &Ignored) -> Option<N> {
    let text = std::env::var(variable).ok()?;
    let text = text.trim();
    let number = text.parse().ok();
    if number.is_none() && !matches!(text, "" | "0") {
        ignored.add(variable, text, "write a whole number");
    }
    number
}
