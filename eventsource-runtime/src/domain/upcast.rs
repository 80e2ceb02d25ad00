//! Reading payloads that this or an earlier version of the program wrote.

use std::borrow::Cow;
use std::str::Utf8Error;

use crate::error::BoxError;
use crate::store::{StreamId, Version};

use super::json::fault;
use super::{Event, EventRef};

/// Turns a payload of one schema version into one of the next.
pub type Upcast = fn(serde_json::Value) -> Result<serde_json::Value, UpcastError>;

/// An old payload could not be turned into a newer one.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct UpcastError {
    reason: String,
}

impl UpcastError {
    /// Says what was expected of the payload. The text reaches logs: keep the payload's values out of it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// A stored event that this program cannot read. It is never skipped silently.
#[derive(Debug, thiserror::Error)]
#[error("event {version} of `{stream}` (`{event_type}`, schema version {schema_version}) cannot be read: {fault}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The stream that holds the event.
    pub stream: StreamId,
    /// The event's place in the stream.
    pub version: Version,
    /// The stored name of the event's type.
    pub event_type: String,
    /// The stored schema version.
    pub schema_version: u32,
    /// What is wrong with it.
    pub fault: DecodeFault,
    #[source]
    source: Option<BoxError>,
}

/// What in a payload does not fit the type.
#[derive(Debug, thiserror::Error)]
#[error("{fault} at line {line}, column {column}")]
struct Unfit {
    fault: String,
    line: usize,
    column: usize,
}

/// Why a stored event cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// No event of the set has this name.
    #[error("no event has this name; list it in `events(..)`, or give its new type `alias = \"..\"`")]
    UnknownType,
    /// A later version of the program wrote it.
    #[error("it was written by a newer version of this program; deploy that version, or one that is newer still")]
    Newer,
    /// An earlier version wrote it, and no chain of upcasters leads to the current one.
    #[error("it is older than the oldest `upcast(..)`; write an upcast from its schema version")]
    NoUpcast,
    /// An upcaster refused it.
    #[error("an upcaster refused it; mend the function that `upcast(..)` names, or the payload")]
    Upcast,
    /// What the upcasters made of it is not what the type expects.
    #[error("what its upcasters made of it does not fit the type; mend the functions that `upcast(..)` names")]
    Upcasted,
    /// The payload is not what the type expects.
    #[error(
        "the payload does not fit the type; give new fields `#[serde(default)]`, or raise `version` and write an `upcast(..)`"
    )]
    Payload,
}

impl DecodeFault {
    /// A short, stable name for telemetry.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UnknownType => "unknown_type",
            Self::Newer => "newer",
            Self::NoUpcast => "no_upcast",
            Self::Upcast => "upcast",
            Self::Upcasted => "upcasted",
            Self::Payload => "payload",
        }
    }
}

impl DecodeError {
    pub(crate) fn unknown_type(event: &EventRef<'_>) -> Self {
        Self::new(event, DecodeFault::UnknownType, None)
    }

    fn new(event: &EventRef<'_>, fault: DecodeFault, source: Option<BoxError>) -> Self {
        Self {
            stream: event.stream.clone(),
            version: event.version,
            event_type: event.event_type.into(),
            schema_version: event.schema_version,
            fault,
            source,
        }
    }
}

/// Reads a payload directly into `E`; only an old schema version goes through a JSON tree, for its upcasters. Their
/// result is serialized and read like any other: a tree has a deserializer of its own, to be compiled for each event.
pub(crate) fn decode_payload<E: Event>(event: &EventRef<'_>) -> Result<E, DecodeError> {
    let payload = current(event, E::VERSION, E::UPCASTS)?;
    // All of it at once, instead of each of its texts by itself.
    let text = str::from_utf8(&payload).map_err(|error| no_text(event, error))?;
    serde_json::from_str(text).map_err(|error| {
        if event.schema_version == E::VERSION { unfit(event, &error) } else { upcast_unfit(event, &error) }
    })
}

#[cold]
fn no_text(event: &EventRef<'_>, error: Utf8Error) -> DecodeError {
    DecodeError::new(event, DecodeFault::Payload, Some(error.into()))
}

#[cold]
fn unfit(event: &EventRef<'_>, error: &serde_json::Error) -> DecodeError {
    // serde's text quotes payload values, which must not reach logs.
    let unfit = Unfit { fault: fault(error), line: error.line(), column: error.column() };
    DecodeError::new(event, DecodeFault::Payload, Some(unfit.into()))
}

/// The text that does not fit is stored nowhere, so that a place in it would lead nobody to it.
#[cold]
fn upcast_unfit(event: &EventRef<'_>, error: &serde_json::Error) -> DecodeError {
    DecodeError::new(event, DecodeFault::Upcasted, Some(fault(error).into()))
}

/// The payload in the schema version that the program knows.
#[inline]
fn current<'p>(event: &EventRef<'p>, known: u32, upcasts: &[(u32, Upcast)]) -> Result<Cow<'p, [u8]>, DecodeError> {
    if event.schema_version == known {
        return Ok(Cow::Borrowed(event.payload));
    }
    upcast(event, known, upcasts).map(Cow::Owned)
}

fn upcast(event: &EventRef<'_>, target: u32, upcasts: &[(u32, Upcast)]) -> Result<Vec<u8>, DecodeError> {
    if event.schema_version > target {
        return Err(DecodeError::new(event, DecodeFault::Newer, None));
    }
    let mut payload = serde_json::from_slice(event.payload).map_err(|error| unfit(event, &error))?;
    for version in event.schema_version..target {
        let Some((_, step)) = upcasts.iter().find(|(from, _)| *from == version) else {
            return Err(DecodeError::new(event, DecodeFault::NoUpcast, None));
        };
        payload = step(payload).map_err(|error| DecodeError::new(event, DecodeFault::Upcast, Some(error.into())))?;
    }
    serde_json::to_vec(&payload).map_err(|error| upcast_unfit(event, &error))
}
