//! Gauges that are observed for as long as somebody keeps them: how far projections and relays are behind, and how far
//! rebuilds are. The callbacks read atomics; none can panic, which would end the exporter's thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::metrics;
use super::observed::{MeterId, Observed};
use crate::telemetry::names;

/// By the names of projections and relays.
static GAPS: Observed<&str, Gaps> = Observed::new();
static RELAY_GAPS: Observed<&str, Gaps> = Observed::new();
static RUNNING: Observed<&str, Told> = Observed::new();
static RELAYS_RUNNING: Observed<&str, Told> = Observed::new();
static REBUILDS: Observed<&str, Told> = Observed::new();

/// Makes the gauges of one meter.
pub(super) fn make(meter: &Meter, meter_id: &MeterId) {
    let gaps = [
        (names::EVENTSOURCE_PROJECTION_GAP, names::PROJECTION_NAME, &GAPS),
        (names::EVENTSOURCE_RELAY_GAP, names::EVENTSOURCE_RELAY_NAME, &RELAY_GAPS),
    ];
    for (instrument, key, gaps) in gaps {
        let id = meter_id.clone();
        gauge(meter, instrument, "{position}", move |observer| {
            tell(observer, |name| [KeyValue::new(key, name)], gaps.living(&id), Gaps::positions, u64::max);
        });
    }
    let running = [
        (names::EVENTSOURCE_PROJECTION_RUNNING, "{projection}", names::PROJECTION_NAME, &RUNNING),
        (names::EVENTSOURCE_RELAY_RUNNING, "{relay}", names::EVENTSOURCE_RELAY_NAME, &RELAYS_RUNNING),
    ];
    for (instrument, unit, key, running) in running {
        let id = meter_id.clone();
        gauge(meter, instrument, unit, move |observer| {
            tell(observer, |name| [KeyValue::new(key, name)], running.living(&id), Told::count, u64::min);
        });
    }
    let (instrument, id) = (names::EVENTSOURCE_PROJECTION_REBUILD_PROGRESS, meter_id.clone());
    let told = move |observer: &dyn AsyncInstrument<f64>| {
        let attributes = |name| [KeyValue::new(names::PROJECTION_NAME, name)];
        tell(observer, attributes, REBUILDS.living(&id), Told::share, f64::min);
    };
    let builder = meter.f64_observable_gauge(instrument).with_unit("1");
    builder.with_description(names::description(instrument)).with_callback(told).build();
}

/// Makes a gauge of whole numbers.
pub(super) fn gauge(
    meter: &Meter,
    name: &'static str,
    unit: &'static str,
    told: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    let builder = meter.u64_observable_gauge(name).with_unit(unit).with_description(names::description(name));
    builder.with_callback(told).build();
}

/// Tells a value for each key. Several may share one, for example if each tenant has its own store: the one furthest
/// behind counts.
pub(super) fn tell<K: Ord, T, V: Copy, const N: usize>(
    observer: &dyn AsyncInstrument<V>,
    attributes: impl Fn(K) -> [KeyValue; N],
    living: Vec<(K, Arc<T>)>,
    value: fn(&T) -> V,
    furthest_behind: fn(V, V) -> V,
) {
    let mut all = BTreeMap::new();
    for (key, one) in living {
        let value = value(&one);
        all.entry(key).and_modify(|told| *told = furthest_behind(*told, value)).or_insert(value);
    }
    for (key, value) in all {
        observer.observe(value, &attributes(key));
    }
}

/// How many positions a part of a projection is behind the head of its store, for as long as it runs.
#[derive(Debug)]
pub(crate) struct Gap {
    of: Arc<Gaps>,
    part: usize,
}

/// The parts of one projection, whose gap is that of the part furthest behind.
#[derive(Debug)]
struct Gaps {
    head: AtomicU64,
    checkpoints: Box<[AtomicU64]>,
}

impl Gap {
    /// Gaps for the parts of a projection or a relay, observed until they are dropped; none if metrics are off. A
    /// reader may come later.
    pub(crate) fn observed(name: &'static str, parts: usize, relay: bool) -> Vec<Arc<Self>> {
        if metrics::are_off() {
            return Vec::new();
        }
        let checkpoints = (0..parts).map(|_| AtomicU64::new(0)).collect();
        let of = Arc::new(Gaps { head: AtomicU64::new(0), checkpoints });
        if relay { &RELAY_GAPS } else { &GAPS }.add(name, &of);
        (0..parts).map(|part| Arc::new(Self { of: Arc::clone(&of), part })).collect()
    }

    /// The last known position in the store.
    pub(crate) fn head(&self, position: u64) {
        self.of.head.fetch_max(position, Ordering::Relaxed);
    }

    /// Forgets the known head: the store may have lost its last events, and end before it.
    pub(crate) fn forget_head(&self) {
        self.of.head.store(0, Ordering::Relaxed);
    }

    /// The last known position in the store.
    pub(crate) fn known_head(&self) -> u64 {
        self.of.head.load(Ordering::Relaxed)
    }

    /// The last position that the part has finished.
    pub(crate) fn checkpoint(&self, position: u64) {
        if let Some(checkpoint) = self.of.checkpoints.get(self.part) {
            checkpoint.store(position, Ordering::Relaxed);
        }
        self.head(position);
    }
}

impl Gaps {
    fn positions(&self) -> u64 {
        let behind = self.checkpoints.iter().map(|checkpoint| checkpoint.load(Ordering::Relaxed)).min();
        self.head.load(Ordering::Relaxed).saturating_sub(behind.unwrap_or_default())
    }
}

/// What a gauge tells of a projection, a relay or a subscription, for as long as somebody keeps it.
#[derive(Debug)]
pub(crate) struct Told(AtomicU64);

impl Told {
    /// That a projection or a relay has not failed; `None` if metrics are off. Of one that runs no more, nothing else
    /// tells.
    pub(crate) fn running(name: &'static str, relay: bool) -> Option<Arc<Self>> {
        Self::by(if relay { &RELAYS_RUNNING } else { &RUNNING }, name, 1)
    }

    /// That nothing of a rebuild is done; `None` if metrics are off.
    pub(crate) fn rebuild(projection: &'static str) -> Option<Arc<Self>> {
        Self::by(&REBUILDS, projection, 0.0_f64.to_bits())
    }

    pub(super) fn by<K: Clone>(gauge: &Observed<K, Self>, key: K, value: u64) -> Option<Arc<Self>> {
        if metrics::are_off() {
            return None;
        }
        let told = Arc::new(Self(AtomicU64::new(value)));
        gauge.add(key, &told);
        Some(told)
    }

    /// It has failed for good, or takes no more messages though nobody asked for that.
    pub(crate) fn failed(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The share of the rebuild that is done, from 0 to 1.
    pub(crate) fn done(&self, share: f64) {
        self.0.store(share.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn share(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::metrics::InMemoryMetricExporter;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};

    use super::*;
    use crate::telemetry::Telemetry;

    /// For two stores of one process, each with that projection, only the last one to begin was reported.
    #[test]
    fn of_those_with_one_name_the_one_furthest_behind_is_told() {
        let exporter = InMemoryMetricExporter::default();
        let telemetry = Telemetry::builder("tests").metric_exporter(exporter.clone()).build().unwrap();
        let _attached = telemetry.attach();
        let (behind, there) = (Gap::observed("Stock", 2, false), Gap::observed("Stock", 1, false));
        behind.iter().zip([10, 2]).for_each(|(part, done)| part.checkpoint(done));
        there[0].checkpoint(7);
        let running = [(); 2].map(|()| Told::running("Stock", false).unwrap());
        running[0].failed();
        let rebuilds = [0.25, 0.75].map(|done| (Told::rebuild("Stock").unwrap(), done));
        for (rebuild, done) in &rebuilds {
            rebuild.done(*done);
        }
        telemetry.force_flush_blocking().unwrap();
        let finished = exporter.get_finished_metrics().unwrap();
        let mut told = Vec::new();
        for metric in finished.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics) {
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
                    told.extend(gauge.data_points().map(|point| format!("{} {}", metric.name(), point.value())));
                }
                AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                    told.extend(gauge.data_points().map(|point| format!("{} {}", metric.name(), point.value())));
                }
                _ => {}
            }
        }
        told.sort_unstable();
        let expected = [
            "eventsource.projection.gap 8",
            "eventsource.projection.rebuild.progress 0.25",
            "eventsource.projection.running 0",
        ];
        assert_eq!(told, expected);
    }
}
