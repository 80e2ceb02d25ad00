//! Names of streams.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::room;

/// The name of a stream: the aggregate's type, a hyphen, the aggregate's id, such as `Order-42`.
///
/// Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId {
    name: Arc<str>,
    /// Where the hyphen stands.
    hyphen: usize,
}

/// The text is no stream id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no stream id; write the aggregate's type, a hyphen and the aggregate's id, without a NUL")]
pub struct InvalidStreamId(String);

impl StreamId {
    /// The stream of one aggregate. The type's name holds no hyphen: the derive refuses one. To a stream whose id holds a
    /// NUL no store appends.
    #[must_use]
    pub fn new(aggregate_type: &str, aggregate_id: impl fmt::Display) -> Self {
        let name = room::text(|name| {
            name.push_str(aggregate_type);
            name.push('-');
            write!(name, "{aggregate_id}").map(|()| Arc::from(&**name))
        });
        // Where the id failed to be written, it panics here, as anywhere.
        let name = name.unwrap_or_else(|_| format!("{aggregate_type}-{aggregate_id}").into());
        Self { name, hyphen: aggregate_type.len() }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The whole name, to be kept.
    pub(crate) fn shared(&self) -> &Arc<str> {
        &self.name
    }

    /// As a store has it. What was stored before a NUL was refused is still to be read.
    pub(crate) fn stored(name: &str) -> Result<Self, InvalidStreamId> {
        match name.find('-') {
            Some(hyphen) if hyphen > 0 => Ok(Self { name: name.into(), hyphen }),
            _ => Err(InvalidStreamId(name.into())),
        }
    }

    /// Whether no store takes it.
    pub(crate) fn holds_nul(&self) -> bool {
        self.name.contains('\0')
    }

    /// The part before the first hyphen.
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        self.name.get(..self.hyphen).unwrap_or_default()
    }

    /// The part after the first hyphen.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.name.get(self.hyphen + 1..).unwrap_or_default()
    }
}

/// By the whole name, which says where the hyphen stands.
impl Hash for StreamId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl std::str::FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(name: &str) -> Result<Self, InvalidStreamId> {
        Self::stored(name).ok().filter(|stream| !stream.holds_nul()).ok_or_else(|| InvalidStreamId(name.into()))
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
        assert!("Order".parse::<StreamId>().is_err());
        assert!("-1".parse::<StreamId>().is_err());
        assert!("Order-\0".parse::<StreamId>().is_err());
    }
}
