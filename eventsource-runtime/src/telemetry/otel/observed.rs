//! What gauges report. It belongs to the scope that it began in, or else to the process, not to instruments: others
//! appear as soon as something is installed or replaced, and they report what was there before just as well.

use std::sync::{Arc, Weak};

use super::{metrics, pipeline};
use crate::sync::Mutex;

/// Tells the gauges of one meter from those of others. Their callbacks hold it, which shows whether anybody reads them:
/// a provider without readers drops callbacks at once.
#[derive(Clone, Debug, Default)]
pub(super) struct MeterId(Arc<()>);

impl MeterId {
    pub(super) fn is_read(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What gauges report, for as long as somebody else keeps it.
pub(super) struct Observed<K, T: ?Sized>(Mutex<Vec<One<K, T>>>);

struct One<K, T: ?Sized> {
    key: K,
    /// The gauges of the scope that it began in; none for what is the process's.
    scope: Option<Weak<()>>,
    value: Weak<T>,
}

impl<K: Clone, T: ?Sized> Observed<K, T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Has gauges report `value` for as long as it lives.
    pub(super) fn add(&self, key: K, value: &Arc<T>) {
        let scope = pipeline::scoped();
        self.add_of(scope.as_ref().map(|pipeline| &pipeline.instruments.meter_id), key, value);
        // A foreign provider has gauges from the first measurement on, and here may be none for long.
        metrics::with(|_| ());
    }

    /// Has the gauges of that meter report it, or the process's.
    pub(super) fn add_of(&self, scope: Option<&MeterId>, key: K, value: &Arc<T>) {
        let scope = scope.map(|MeterId(id)| Arc::downgrade(id));
        let mut known = self.0.lock();
        known.retain(|one| one.value.strong_count() > 0);
        known.push(One { key, scope, value: Arc::downgrade(value) });
    }

    /// What is alive of what the gauges of `meter_id` report; collected, so that no foreign code runs under the lock.
    pub(super) fn living(&self, meter_id: &MeterId) -> Vec<(K, Arc<T>)> {
        let tells_of_process = metrics::are_of_process(meter_id);
        let known = self.0.lock();
        let told = known.iter().filter(|one| match &one.scope {
            Some(scope) => std::ptr::eq(scope.as_ptr(), Arc::as_ptr(&meter_id.0)),
            None => tells_of_process,
        });
        told.filter_map(|one| Some((one.key.clone(), one.value.upgrade()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_forgotten() {
        let observed = Observed::new();
        for number in 0..100 {
            observed.add("", &Arc::new(number));
        }
        assert_eq!(observed.0.lock().len(), 1);
        assert_eq!(observed.living(&MeterId::default()), []);
    }

    #[test]
    fn gauges_without_a_reader_are_not_read() {
        let meter_id = MeterId::default();
        assert!(!meter_id.is_read());
        let callback = meter_id.clone();
        assert!(meter_id.is_read() && meter_id.is(&callback));
        drop(callback);
        assert!(!meter_id.is_read());
    }
}
