//! Names of streams.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::Aggregate;
use crate::error::quoted;
use crate::room;

/// The longest stream name that a store takes, in bytes.
pub const MAX_STREAM_ID: usize = 1024;

/// The name of a stream: the aggregate's type, a hyphen, the aggregate's id, such as `Order-42`.
///
/// It is serialized as that name; what is read must be a name as [`str::parse`] takes it. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    name: Arc<str>,
    /// Where the hyphen stands.
    hyphen: usize,
}

/// The text is not a stream id. It quotes the first 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a stream id; write the aggregate's type, a hyphen and the aggregate's id, in {MAX_STREAM_ID} bytes without a NUL"
)]
pub struct InvalidStreamId(String);

impl StreamId {
    /// The stream of one aggregate. This never fails, but no store appends to a stream whose type is empty or has a
    /// hyphen in it (the derive refuses such types), whose name is longer than [`MAX_STREAM_ID`] bytes, or whose name
    /// contains a NUL.
    #[must_use]
    pub fn new(aggregate_type: &str, aggregate_id: impl fmt::Display) -> Self {
        let name = room::text(|name| {
            name.push_str(aggregate_type);
            name.push('-');
            write!(name, "{aggregate_id}").map(|()| Arc::from(&**name))
        });
        // If writing the id failed, this panics as it would anywhere.
        let name = name.unwrap_or_else(|_| format!("{aggregate_type}-{aggregate_id}").into());
        Self { name, hyphen: aggregate_type.len() }
    }

    /// The stream of one aggregate, by its type: its name is not spelled, and its id is of the right type.
    ///
    /// ```
    /// # use eventsource_runtime::prelude::*;
    /// # use eventsource_runtime::store::StreamId;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// # struct Deposited { cents: u64 }
    /// # #[derive(Aggregate, Default)]
    /// # #[aggregate(id = String, events(Deposited))]
    /// # struct Account {}
    /// # impl Apply<Deposited> for Account { fn apply(&mut self, _: Deposited) {} }
    /// assert_eq!(StreamId::of::<Account>(&"ada".to_owned()), StreamId::new("Account", "ada"));
    /// ```
    #[must_use]
    pub fn of<A: Aggregate>(id: &A::Id) -> Self {
        Self::new(A::NAME, id)
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The whole name, shared.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.name
    }

    /// A name as stored, even one that would be refused today: it must stay readable.
    pub(crate) fn stored(name: &str) -> Result<Self, InvalidStreamId> {
        match name.find('-') {
            Some(hyphen) => Ok(Self { name: name.into(), hyphen }),
            None => Err(InvalidStreamId(quoted(name))),
        }
    }

    pub(crate) fn holds_nul(&self) -> bool {
        self.name.as_bytes().contains(&0)
    }

    /// Why no store accepts it, a NUL aside.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.hyphen == 0 {
            Some("its aggregate type is empty")
        } else if self.aggregate_type().as_bytes().contains(&b'-') {
            Some("its aggregate type holds a hyphen")
        } else if self.name.len() > MAX_STREAM_ID {
            Some("it is longer than 1024 bytes")
        } else {
            None
        }
    }

    /// The aggregate's type: what [`StreamId::new`] got, or the part of a name that was read before its first hyphen.
    ///
    /// These are the same for each stream that a store takes. A type with a hyphen in it belongs to none: such an id
    /// differs from the one that is read from its name.
    ///
    /// ```
    /// # use eventsource_runtime::store::StreamId;
    /// let (made, read) = (StreamId::new("a-b", 1), "a-b-1".parse::<StreamId>()?);
    /// assert_eq!(made.as_str(), read.as_str());
    /// assert_eq!((made.aggregate_type(), read.aggregate_type()), ("a-b", "a"));
    /// assert_ne!(made, read);
    /// # Ok::<(), eventsource_runtime::store::InvalidStreamId>(())
    /// ```
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        self.name.get(..self.hyphen).unwrap_or_default()
    }

    /// The aggregate's id: the part after its type and a hyphen.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.name.get(self.hyphen + 1..).unwrap_or_default()
    }
}

impl AsRef<str> for StreamId {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

/// By the whole name: equal ids have equal names.
impl Hash for StreamId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl std::str::FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(name: &str) -> Result<Self, InvalidStreamId> {
        let is_fit = |stream: &Self| !stream.holds_nul() && stream.fault().is_none();
        Self::stored(name).ok().filter(is_fit).ok_or_else(|| InvalidStreamId(quoted(name)))
    }
}

/// As [`str::parse`].
impl TryFrom<&str> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(name: &str) -> Result<Self, InvalidStreamId> {
        name.parse()
    }
}

/// As [`str::parse`].
impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(name: String) -> Result<Self, InvalidStreamId> {
        name.parse()
    }
}

impl Serialize for StreamId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for StreamId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_hyphen() {
        let id: StreamId = "Order-2026-11".parse().unwrap();
        assert_eq!((id.aggregate_type(), id.aggregate_id()), ("Order", "2026-11"));
        assert_eq!(id, StreamId::new("Order", "2026-11"));
        assert_eq!(StreamId::try_from("Order-2026-11"), Ok(id.clone()));
        assert_eq!(StreamId::try_from("Order-2026-11".to_owned()), Ok(id));
        assert!("Order".parse::<StreamId>().is_err());
        assert!(StreamId::try_from("Order").is_err());
        assert!("-1".parse::<StreamId>().is_err());
        assert!("Order-\0".parse::<StreamId>().is_err());
        assert!(format!("Order-{:01018}", 1).parse::<StreamId>().is_ok());
        assert!(format!("Order-{:01019}", 1).parse::<StreamId>().is_err());
    }

    #[test]
    fn a_name_is_a_text_in_json_and_no_other_text_is_read() {
        let id = StreamId::new("Order", "2026-11");
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""Order-2026-11""#);
        assert_eq!(serde_json::from_str::<StreamId>(r#""Order-2026-11""#).unwrap(), id);
        assert_eq!(serde_json::from_str::<StreamId>(r#""Order-\u00e9""#).unwrap().aggregate_id(), "é");
        for text in [r#""Order""#, r#""-1""#, r#""Order-\u0000""#, "7", "null"] {
            assert!(serde_json::from_str::<StreamId>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_none_is_quoted_in_part() {
        let error = "é".repeat(4096).parse::<StreamId>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("{:?} is not a stream id", "é".repeat(64))), "{error}");
    }
}
