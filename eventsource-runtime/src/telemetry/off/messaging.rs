//! No instruments of buses.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::Told;
use crate::bus::{BusInfo, Health, PublishError, Published};

pub(crate) fn sent(_: &BusInfo, _: &str, _: &[Result<Published, PublishError>], _: Duration) {}

pub(crate) fn unanswered(_: &BusInfo, _: &str, _: u64, _: &'static str, _: Duration) {}

pub(crate) fn group(name: &Arc<str>) -> Arc<str> {
    Arc::clone(name)
}

pub(crate) fn consumed(_: &BusInfo, _: &str, _: (&str, Option<i32>), _: u64) {}

pub(crate) fn processed(_: &BusInfo, _: &str, _: (&str, Option<i32>), _: Option<&str>, _: Duration) {}

pub(crate) fn clock_skew() {}

pub(crate) fn running(_: &BusInfo, _: &Arc<str>) -> Option<Arc<Told>> {
    None
}

pub(crate) fn observe(_: Option<&'static str>, _: &Arc<dyn Health>) {}
