//! What is observed for as long as somebody keeps it up: how far projections and relays are behind, and how far rebuilds
//! are. The callbacks read atomics under a lock that nothing else holds for long; none can panic, which would end the
//! exporter's thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::metrics::with;
use crate::telemetry::names;

/// What a gauge shows, for as long as somebody else keeps it.
type Observed<T> = Arc<Mutex<Vec<Weak<T>>>>;

/// The gauges made from one meter.
pub(super) struct Gauges {
    gaps: Observed<Gaps>,
    relay_gaps: Observed<Gaps>,
    rebuilds: Observed<Rebuild>,
}

impl Gauges {
    pub(super) fn new(meter: &Meter) -> Self {
        let made = Self { gaps: Arc::default(), relay_gaps: Arc::default(), rebuilds: Arc::default() };
        observe_gaps(meter, (names::EVENTSOURCE_PROJECTION_GAP, names::PROJECTION_NAME), Arc::clone(&made.gaps));
        observe_gaps(
            meter,
            (names::EVENTSOURCE_RELAY_GAP, names::EVENTSOURCE_RELAY_NAME),
            Arc::clone(&made.relay_gaps),
        );
        observe_rebuilds(meter, Arc::clone(&made.rebuilds));
        made
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
    name: &'static str,
    head: AtomicU64,
    checkpoints: Box<[AtomicU64]>,
}

impl Gap {
    /// Gaps for the parts of a projection or a relay, observed until they are dropped; none where metrics are off, so that nobody
    /// keeps them up.
    pub(crate) fn observed(name: &'static str, parts: usize, relay: bool) -> Vec<Arc<Self>> {
        let mut observed = Vec::new();
        with(|instruments| {
            let checkpoints = (0..parts).map(|_| AtomicU64::new(0)).collect();
            let of = Arc::new(Gaps { name, head: AtomicU64::new(0), checkpoints });
            observe(if relay { &instruments.gauges.relay_gaps } else { &instruments.gauges.gaps }, &of);
            observed.extend((0..parts).map(|part| Arc::new(Self { of: Arc::clone(&of), part })));
        });
        observed
    }

    /// The last position that is known to be in the store.
    pub(crate) fn head(&self, position: u64) {
        self.of.head.fetch_max(position, Ordering::Relaxed);
    }

    /// What was said last to be in the store.
    pub(crate) fn known_head(&self) -> u64 {
        self.of.head.load(Ordering::Relaxed)
    }

    /// The last position that the part is done with.
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

fn observe_gaps(meter: &Meter, (instrument, key): (&'static str, &'static str), gaps: Observed<Gaps>) {
    meter
        .u64_observable_gauge(instrument)
        .with_unit("{position}")
        .with_description(names::description(instrument))
        .with_callback(move |observer| {
            let gaps = gaps.lock().unwrap_or_else(PoisonError::into_inner);
            for gap in gaps.iter().filter_map(Weak::upgrade) {
                observer.observe(gap.positions(), &[KeyValue::new(key, gap.name)]);
            }
        })
        .build();
}

fn observe<T>(observed: &Observed<T>, new: &Arc<T>) {
    let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
    observed.retain(|known| known.strong_count() > 0);
    observed.push(Arc::downgrade(new));
}

/// Which share of a rebuild is done, from 0 to 1.
#[derive(Debug)]
pub(crate) struct Rebuild {
    projection: &'static str,
    /// The bits of the share.
    done: AtomicU64,
}

impl Rebuild {
    /// A rebuild that is observed until the value is dropped; `None` where metrics are off.
    pub(crate) fn observed(projection: &'static str) -> Option<Arc<Self>> {
        let mut observed = None;
        with(|instruments| {
            let rebuild = Arc::new(Self { projection, done: AtomicU64::new(0.0_f64.to_bits()) });
            observe(&instruments.gauges.rebuilds, &rebuild);
            observed = Some(rebuild);
        });
        observed
    }

    /// The share that is done.
    pub(crate) fn set(&self, done: f64) {
        self.done.store(done.to_bits(), Ordering::Relaxed);
    }
}

fn observe_rebuilds(meter: &Meter, rebuilds: Observed<Rebuild>) {
    meter
        .f64_observable_gauge(names::EVENTSOURCE_PROJECTION_REBUILD_PROGRESS)
        .with_unit("1")
        .with_description(names::description(names::EVENTSOURCE_PROJECTION_REBUILD_PROGRESS))
        .with_callback(move |observer| {
            let rebuilds = rebuilds.lock().unwrap_or_else(PoisonError::into_inner);
            for rebuild in rebuilds.iter().filter_map(Weak::upgrade) {
                let done = f64::from_bits(rebuild.done.load(Ordering::Relaxed));
                observer.observe(done, &[KeyValue::new(names::PROJECTION_NAME, rebuild.projection)]);
            }
        })
        .build();
}
