//! Places: in a stream, in the feed, and where an append expects its stream to be.

use std::fmt;
use std::num::{ParseIntError, TryFromIntError};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// It is serialized as its number. With the features `sqlite` and `postgres` it is a value of a statement and
        /// of a row, whose column is an `INTEGER` on SQLite and a `bigint` on PostgreSQL; above [`i64::MAX`] it cannot be written.
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The place before the first.
            pub const START: Self = Self(0);

            /// Wraps a number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> u64 {
                number.0
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        /// Takes a number as databases have it, unless it is negative.
        impl TryFrom<i64> for $name {
            type Error = TryFromIntError;

            fn try_from(number: i64) -> Result<Self, TryFromIntError> {
                u64::try_from(number).map(Self)
            }
        }

        /// Reads a number, such as that of an `ETag`.
        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, ParseIntError> {
                text.parse().map(Self)
            }
        }

        impl PartialOrd<u64> for $name {
            fn partial_cmp(&self, other: &u64) -> Option<std::cmp::Ordering> {
                self.0.partial_cmp(other)
            }
        }

        impl PartialEq<u64> for $name {
            fn eq(&self, other: &u64) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
number! {
    /// The place of an event in its stream, from 1 and without gaps; the version of an aggregate is that of its last
    /// event, 0 before the first.
    Version
}
number! {
    /// The place of an event in the store's global feed. Positions ascend in the order in which events become visible,
    /// possibly with gaps.
    #[doc(alias = "tracking token")]
    Position
}

/// What an append expects of its stream.
#[doc(alias = "optimistic concurrency")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Nothing: append at the end, wherever that is.
    Any,
    /// The stream has no events.
    NoStream,
    /// The stream has events.
    Exists,
    /// The last event has this version; `Exact(Version::START)` is the same as `NoStream`.
    Exact(Version),
}

impl ExpectedVersion {
    /// Whether a stream at `actual` is what was expected.
    #[must_use]
    pub fn admits(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::START,
            Self::Exists => actual > Version::START,
            Self::Exact(version) => actual == version,
        }
    }
}

impl From<Version> for ExpectedVersion {
    fn from(version: Version) -> Self {
        Self::Exact(version)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no_stream"),
            Self::Exists => f.write_str("exists"),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_from_their_texts() {
        assert_eq!("7".parse(), Ok(Version::new(7)));
        assert_eq!(Position::new(u64::MAX).to_string().parse(), Ok(Position::new(u64::MAX)));
        assert!("-1".parse::<Version>().is_err() && "".parse::<Position>().is_err());
    }

    #[test]
    fn no_place_is_negative() {
        assert_eq!(Version::try_from(7_i64), Ok(Version::new(7)));
        assert_eq!(Position::try_from(i64::MAX).unwrap().get(), i64::MAX.unsigned_abs());
        assert!(Version::try_from(-1_i64).is_err() && Position::try_from(i64::MIN).is_err());
    }
}
