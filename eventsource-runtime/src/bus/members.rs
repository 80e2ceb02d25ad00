//! Members of groups, whose lag the gauges report.

use std::sync::{Arc, Weak};

use crate::sync::Mutex;

/// What is known of each member, for as long as it is one.
pub(super) struct Members<T>(Mutex<Vec<Weak<T>>>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Members<T> {
    pub(super) fn joined(&self, member: &Arc<T>) {
        let mut all = self.0.lock();
        all.retain(|member| member.strong_count() > 0);
        all.push(Arc::downgrade(member));
    }

    pub(super) fn living(&self) -> Vec<Arc<T>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
