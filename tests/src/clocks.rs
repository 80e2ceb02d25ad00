//! Clocks that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::{self, Clock, Timestamp};
use uuid::Uuid;

/// A clock that somebody puts forward and back; clones are the same one. By default it stands still at the beginning of
/// time. Its ids are the system's.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    goes: bool,
    micros: Arc<AtomicI64>,
}

impl Moved {
    /// One that goes like the system's, by so much ahead of it.
    #[must_use]
    pub fn ahead(by: Duration) -> Self {
        let clock = Self { goes: true, ..Self::default() };
        clock.pass(by);
        clock
    }

    /// Puts it forward.
    pub fn pass(&self, time: Duration) {
        self.micros.fetch_add(micros(time), Ordering::SeqCst);
    }

    /// Puts it back.
    pub fn back(&self, time: Duration) {
        self.micros.fetch_sub(micros(time), Ordering::SeqCst);
    }

    /// Puts it to so many seconds ahead of where it began, or behind.
    pub fn put(&self, seconds: i64) {
        self.micros.store(seconds * 1_000_000, Ordering::SeqCst);
    }
}

fn micros(time: Duration) -> i64 {
    time.as_micros().try_into().unwrap_or(i64::MAX)
}

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        let begun = if self.goes { clock::system().now().as_micros() } else { 0 };
        Timestamp::from_micros(begun + self.micros.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}
