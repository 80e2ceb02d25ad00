//! No instruments. The fields of what is counted are looked at, so that they are not reported unused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::store::{Fault, StoreInfo};

/// A kind of message, how it ended, and the failure's name if it failed.
pub(crate) struct Ended<'a> {
    pub(crate) name: &'static str,
    pub(crate) status: &'static str,
    pub(crate) error_type: Option<&'a str>,
    pub(crate) elapsed: Duration,
}

impl Ended<'_> {
    fn ignore(&self) {
        let _ = (self.name, self.status, self.error_type, self.elapsed);
    }
}

/// Nobody reads anything.
pub(crate) fn are_read(_: bool) -> bool {
    false
}

/// Nobody reads what is measured.
pub(crate) fn are_recorded() -> bool {
    false
}

/// Nobody reads gauges either.
pub(crate) fn gauges_are_read() -> bool {
    false
}

/// Nobody reads how long anything takes.
pub(crate) fn begun(_: bool) -> Option<Instant> {
    None
}

pub(crate) fn command(ended: &Ended<'_>, _: u64, _: Option<&dyn Fn() -> String>) {
    ended.ignore();
}

pub(crate) fn query(ended: &Ended<'_>, _: Option<usize>) {
    ended.ignore();
}

pub(crate) fn projection_lag<'a>(_: &'static str, _: impl Iterator<Item = (&'a str, f64)>) {}

pub(crate) fn projection_events(_: &'static str, _: &'static str, _: u64) {}

pub(crate) fn events_loaded(_: &'static str, _: u64) {}

pub(crate) fn snapshot_read(_: &'static str, _: &'static str) {}

pub(crate) fn append_conflict(_: &'static str) {}

pub(crate) fn retry(_: &'static str, _: &str) {}

pub(crate) fn dead_letters(_: &'static str, _: &str, _: u64) {}

pub(crate) fn lease_lost(_: &'static str) {}

pub(crate) fn context_malformed(_: &'static str) {}

/// A call to a database; nobody asks for those that wait, so that there is none.
pub(crate) enum Waiting {}

pub(crate) fn store_waits(_: &StoreInfo) -> Option<Waiting> {
    None
}

pub(crate) fn store_operation(_: &StoreInfo, _: &'static str, _: Option<Fault<'_>>, _: Duration) -> bool {
    false
}

/// How far a projection is behind; nobody asks, so that there is none.
#[derive(Debug)]
pub(crate) enum Gap {}

impl Gap {
    pub(crate) fn observed(_: &'static str, _: usize, _: bool) -> Vec<Arc<Self>> {
        Vec::new()
    }

    pub(crate) fn forget_head(&self) {
        match *self {}
    }

    pub(crate) fn known_head(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn head(&self, _: u64) {
        match *self {}
    }

    pub(crate) fn checkpoint(&self, _: u64) {
        match *self {}
    }
}

/// What a gauge tells of a projection or a subscription; nobody asks, so that there is none.
#[derive(Debug)]
pub(crate) enum Told {}

impl Told {
    pub(crate) fn running(_: &'static str, _: bool) -> Option<Arc<Self>> {
        None
    }

    pub(crate) fn rebuild(_: &'static str) -> Option<Arc<Self>> {
        None
    }

    pub(crate) fn failed(&self) {
        match *self {}
    }

    pub(crate) fn done(&self, _: f64) {
        match *self {}
    }
}
