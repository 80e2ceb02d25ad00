//! A stored event as a store shows it while it reads.

use std::fmt;

use super::{DecodeError, Event, decode_payload, is_one_of};
use crate::store::{Position, StreamId, Version};

/// What is needed to read a stored event, borrowed from the store.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use eventsource_runtime::store::Visitor;
/// use eventsource_runtime::{Event, EventRef};
///
/// #[derive(Event, serde::Serialize, serde::Deserialize)]
/// struct Deposited {
///     cents: u64,
/// }
///
/// /// What was paid into an account.
/// struct Sum(u64);
///
/// impl Visitor for Sum {
///     fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
///         if event.is::<Deposited>() {
///             let Ok(Deposited { cents }) = event.decode() else { return ControlFlow::Break(()) };
///             self.0 += cents;
///         }
///         ControlFlow::Continue(())
///     }
/// }
///
/// # use eventsource_runtime::store::{Position, StreamId, Version};
/// let (stream, mut sum) = (StreamId::new("Account", "ada"), Sum(0));
/// let at = |version| (Version::new(version), Position::new(version));
/// let _ = sum.visit(EventRef::new(&stream, at(1), ("Opened", 1), b"{}"));
/// let _ = sum.visit(EventRef::new(&stream, at(2), ("Deposited", 1), br#"{"cents":500}"#));
/// assert_eq!(sum.0, 500);
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct EventRef<'a> {
    /// The stream that holds the event.
    pub stream: &'a StreamId,
    /// The place in the stream.
    pub version: Version,
    /// The place in the global feed.
    pub position: Position,
    /// The stored name of the event's type.
    pub event_type: &'a str,
    /// The version of the payload's schema.
    pub schema_version: u32,
    /// The payload as it was written.
    pub payload: &'a [u8],
}

impl<'a> EventRef<'a> {
    /// Borrows what a store has read.
    #[must_use]
    pub const fn new(
        stream: &'a StreamId,
        (version, position): (Version, Position),
        (event_type, schema_version): (&'a str, u32),
        payload: &'a [u8],
    ) -> Self {
        Self { stream, version, position, event_type, schema_version, payload }
    }

    /// Whether this is an `E`, by its stored name or one of its aliases.
    #[must_use]
    pub fn is<E: Event>(&self) -> bool {
        is_one_of(self.event_type, (E::NAME, E::ALIASES))
    }

    /// Reads the payload as an `E`, upcasting an older one.
    ///
    /// # Errors
    /// The payload does not fit the type.
    pub fn decode<E: Event>(&self) -> Result<E, DecodeError> {
        decode_payload(self)
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRef")
            .field("stream", self.stream)
            .field("version", &self.version)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}
