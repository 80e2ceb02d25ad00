//! What buses on brokers share.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;

use super::error::{BusError, PublishError};
use crate::sync::Mutex;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The pauses between the attempts of one operation, each twice as long as the one before.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    pub(super) async fn next(&mut self) {
        sleep(FIRST_PAUSE.saturating_mul(1 << self.0.min(8)).min(LONGEST_PAUSE)).await;
        self.0 += 1;
    }
}

/// What is known of each member of a group, whose lag the gauges report for as long as it is one.
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

/// Why a dead letter was not published: what can never be would hold up its lane forever, if it was tried again.
pub(super) fn not_kept(source: PublishError) -> BusError {
    if source.is_permanent() { BusError::unkeepable(source) } else { BusError::backend("keep a dead letter", source) }
}
