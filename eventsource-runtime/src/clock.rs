//! The source of time and identifiers, passed in as a value so that tests can use a counter.

use std::fmt::{self, Debug};
use std::ops::Add;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::{Builder, Uuid};

use crate::error::quoted;

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
///
/// It says when an event was recorded and is used to measure lag; nothing is ordered by it. It is serialized as its
/// text, in RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after 1970 began.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 began.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Seconds from `earlier` to this moment; negative if the clocks disagree.
    #[expect(clippy::cast_precision_loss, reason = "a lag of 2^52 microseconds is 142 years")]
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }
}

/// The moment so much later, in whole microseconds.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Rounds down to the microsecond; a moment out of range becomes the last one, or the first.
impl From<SystemTime> for Timestamp {
    fn from(moment: SystemTime) -> Self {
        let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
        Self(match moment.duration_since(UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration().saturating_add(Duration::from_nanos(999))),
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(moment: Timestamp) -> Self {
        let distance = Duration::from_micros(moment.0.unsigned_abs());
        if moment.0 < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

/// RFC 3339 in UTC, such as `2026-11-21T12:00:00.000001Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// The text is not a moment. It quotes the first 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a moment; write it as RFC 3339 does, such as `2026-11-21T12:00:00Z`")]
pub struct InvalidTimestamp(String);

/// Reads RFC 3339, and whatever a timestamp is displayed as; what is finer than a microsecond is cut off.
///
/// ```
/// # use eventsource_runtime::clock::Timestamp;
/// let noon: Timestamp = "2026-11-21T13:00:00.5+01:00".parse()?;
/// assert_eq!(noon.to_string(), "2026-11-21T12:00:00.500000Z");
/// # Ok::<(), eventsource_runtime::clock::InvalidTimestamp>(())
/// ```
impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        // Beyond the years that a calendar date can have, it is displayed as a number.
        let beyond = text.strip_suffix("us").and_then(|micros| micros.parse().ok());
        let micros = beyond.or_else(|| text.parse().ok().map(floored));
        micros.map(Self).ok_or_else(|| InvalidTimestamp(quoted(text)))
    }
}

/// The microsecond before, also before 1970.
fn floored(moment: jiff::Timestamp) -> i64 {
    moment.as_microsecond() - i64::from(moment.subsec_nanosecond() % 1000 < 0)
}

/// As its text.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From its text.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tells the time and makes identifiers. Users may implement it; [`system`] is the default.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time. It may go backward; nothing depends on its order.
    fn now(&self) -> Timestamp;

    /// A new, globally unique identifier.
    fn new_id(&self) -> Uuid;
}

/// The clock of the operating system: wall time and version 7 UUIDs.
#[must_use]
pub fn system() -> Arc<dyn Clock> {
    Arc::new(System)
}

#[derive(Debug)]
struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    /// `Uuid::now_v7` also counts within a millisecond, behind a lock that all threads share; nothing here is ordered by
    /// ids.
    fn new_id(&self) -> Uuid {
        let millis = self.now().as_micros() / 1000;
        let [_, _, _, _, _, _, random @ ..] = Uuid::new_v4().into_bytes();
        Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &random).into_uuid()
    }
}

/// A clock for tests: each reading is a millisecond after the last, each identifier one more than the last.
///
/// ```
/// # use eventsource_runtime::clock::{Clock, Counting};
/// let clock = Counting::default();
/// assert!(clock.now() < clock.now());
/// assert_ne!(clock.new_id(), clock.new_id());
/// ```
#[derive(Debug, Default)]
pub struct Counting {
    millis: AtomicI64,
    ids: AtomicU64,
}

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis.fetch_add(1, Ordering::Relaxed) * 1000)
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_moment_is_read_back_from_its_text() {
        for micros in [i64::MIN, -1, 0, 1, 1_792_000_000_123_456, i64::MAX] {
            let moment = Timestamp::from_micros(micros);
            assert_eq!(moment.to_string().parse(), Ok(moment));
            let json = serde_json::to_string(&moment).unwrap();
            assert_eq!((json.clone(), serde_json::from_str(&json).unwrap()), (format!("\"{moment}\""), moment));
        }
        for text in ["", "noon", "2026-11-21", "2026-11-21T12:00:00", "us"] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp(text.into())));
        }
        assert_eq!("é".repeat(4096).parse::<Timestamp>(), Err(InvalidTimestamp("é".repeat(64))));
    }

    #[test]
    fn ids_are_of_version_7_and_of_the_time() {
        let clock = system();
        let before = clock.now().as_micros() / 1000;
        let ids: HashSet<_> = (0..1000).map(|_| clock.new_id()).collect();
        let after = clock.now().as_micros() / 1000;
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            let millis = i64::try_from(id.as_u128() >> 80).unwrap();
            assert!((before..=after).contains(&millis), "{id}");
        }
    }

    #[test]
    fn moments_of_the_system_become_the_microsecond_before_and_come_back() {
        let of = |micros: i64| SystemTime::from(Timestamp::from_micros(micros));
        for micros in [i64::from(i32::MIN), -1, 0, 1, 1_792_000_000_123_456] {
            assert_eq!(Timestamp::from(of(micros)).as_micros(), micros);
            assert_eq!(Timestamp::from(of(micros) + Duration::from_nanos(900)).as_micros(), micros);
        }
    }
}
