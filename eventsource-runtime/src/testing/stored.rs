//! An event as it was stored, by this or an earlier version of the program: tests upcasters without a store.

use crate::domain::{DecodeError, Event, EventRef, decode_payload};
use crate::store::{Position, StreamId, Version};

/// What a stored payload of a schema version is read as: exactly what a store's reader does, `upcast(..)` included.
///
/// The payload is JSON, as text or bytes: copy one from a store that an earlier version of the program has written to.
/// The event is read under the name that the type has today, as the first of the stream `Test-1`.
///
/// ```
/// use eventsource_runtime::testing::stored;
/// use eventsource_runtime::{DecodeFault, Event, UpcastError};
/// use serde_json::{Value, json};
///
/// #[derive(Event, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// #[event(version = 2, upcast(1 => into_cents))]
/// struct Deposited {
///     cents: u64,
/// }
///
/// /// Version 1 had euros.
/// fn into_cents(payload: Value) -> Result<Value, UpcastError> {
///     let euros = payload["euros"].as_u64().ok_or_else(|| UpcastError::new("`euros` is no number"))?;
///     Ok(json!({ "cents": euros * 100 }))
/// }
///
/// assert_eq!(stored::<Deposited>(1, r#"{"euros":7}"#)?, Deposited { cents: 700 });
/// assert_eq!(stored::<Deposited>(2, r#"{"cents":7}"#)?, Deposited { cents: 7 });
/// assert_eq!(stored::<Deposited>(1, r#"{"euros":"?"}"#).unwrap_err().fault, DecodeFault::Upcast);
/// # Ok::<(), eventsource_runtime::DecodeError>(())
/// ```
///
/// # Payloads in the repository
/// Keep one payload of each schema version that is or was in use, and read them all in a test: it fails when a field is
/// renamed without `#[serde(alias = "..")]`, is new without `#[serde(default)]`, or has another type, in place of the
/// first load of an event that was stored before. Add a payload whenever `version` is raised, and never edit one.
/// [`StoredNames`](super::StoredNames) does the same for names and versions.
///
/// ```
/// # use eventsource_runtime::Event;
/// # use eventsource_runtime::testing::stored;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # #[event(version = 2, upcast(1 => Ok))]
/// # struct OrderPlaced {
/// #     customer: String,
/// #     #[serde(default)]
/// #     cents: u64,
/// # }
/// // Large ones are better kept in files, for `include_str!("stored/OrderPlaced-1.json")`.
/// const ORDER_PLACED: [(u32, &str); 2] = [
///     (1, r#"{"customer":"ada"}"#),
///     (2, r#"{"customer":"ada","cents":4200}"#),
/// ];
///
/// # fn main() {
/// // In a test.
/// for (version, payload) in ORDER_PLACED {
///     stored::<OrderPlaced>(version, payload).unwrap_or_else(|error| panic!("version {version}: {error}"));
/// }
/// assert!(ORDER_PLACED.iter().any(|(version, _)| *version == OrderPlaced::VERSION), "add a payload of this version");
/// # }
/// ```
///
/// # Errors
/// The schema version is newer than the type's, or older than its oldest upcast; an upcast refused the payload; or the
/// payload, or what the upcasts made of it, does not fit the type.
pub fn stored<E: Event>(schema_version: u32, json: impl AsRef<[u8]>) -> Result<E, DecodeError> {
    decode_payload(&EventRef {
        stream: &StreamId::new("Test", 1),
        version: Version::new(1),
        position: Position::new(1),
        event_type: E::NAME,
        schema_version,
        payload: json.as_ref(),
    })
}
