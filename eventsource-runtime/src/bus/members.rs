//! Members of groups, whose lag the gauges tell.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// What is known of members, of each for as long as it is one.
pub(super) struct Members<T>(Mutex<Vec<Weak<T>>>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Members<T> {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn joined(&self, member: &Arc<T>) {
        let mut all = self.all();
        all.retain(|member| member.strong_count() > 0);
        all.push(Arc::downgrade(member));
    }

    pub(super) fn living(&self) -> Vec<Arc<T>> {
        self.all().iter().filter_map(Weak::upgrade).collect()
    }
}
