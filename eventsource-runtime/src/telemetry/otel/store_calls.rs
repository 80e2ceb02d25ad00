//! Calls to databases that wait for their answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::gauges::gauge;
use crate::telemetry::names;

/// How many kinds of databases are told apart; calls to any more are not counted.
const SYSTEMS: usize = 8;

/// Counts them for the gauge of one meter, by the database's kind.
#[derive(Debug, Default)]
pub(super) struct StoreCalls([OfSystem; SYSTEMS]);

#[derive(Debug, Default)]
struct OfSystem {
    /// Of which it is, from its first call on.
    system: OnceLock<&'static str>,
    waiting: AtomicU64,
}

impl StoreCalls {
    /// Creates the gauge.
    pub(super) fn observe(self: &Arc<Self>, meter: &Meter) {
        let calls = Arc::clone(self);
        gauge(meter, names::EVENTSOURCE_STORE_ACTIVE, "{call}", move |observer| {
            for OfSystem { system, waiting } in &calls.0 {
                if let Some(system) = system.get() {
                    let attributes = [KeyValue::new(names::DB_SYSTEM_NAME, *system)];
                    observer.observe(waiting.load(Ordering::Relaxed), &attributes);
                }
            }
        });
    }

    /// A call that begins now.
    pub(super) fn begin(self: &Arc<Self>, system: &'static str) -> Option<Waiting> {
        let of = self.0.iter().position(|of| *of.system.get_or_init(|| system) == system)?;
        self.0[of].waiting.fetch_add(1, Ordering::Relaxed);
        Some(Waiting { calls: Arc::clone(self), of })
    }
}

/// A call that waits until this is dropped, whoever's measurements are read by then.
#[derive(Debug)]
pub(crate) struct Waiting {
    calls: Arc<StoreCalls>,
    of: usize,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.calls.0[self.of].waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_the_kind_of_database_until_they_are_dropped() {
        let calls = Arc::new(StoreCalls::default());
        let waiting = |of: usize| calls.0[of].waiting.load(Ordering::Relaxed);
        let first = calls.begin("sqlite");
        let second = [calls.begin("postgresql"), calls.begin("postgresql")];
        assert_eq!((waiting(0), waiting(1)), (1, 2));
        drop(first);
        assert_eq!((waiting(0), waiting(1)), (0, 2));
        drop(second);
        assert_eq!(waiting(1), 0);
        let others: [_; SYSTEMS] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let counted = others.map(|system| calls.begin(system).is_some());
        assert_eq!(counted.iter().filter(|counted| **counted).count(), SYSTEMS - 2);
    }
}
