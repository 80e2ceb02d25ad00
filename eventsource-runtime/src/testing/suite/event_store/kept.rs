//! What was written comes back.

use std::ops::ControlFlow;

use super::{
    Arc, EventStore, Filter, NewEvent, Origin, Timestamp, Uuid, Version, a_stream, an_event, appended, events, feed,
    last, origin, stored,
};
use crate::domain::{EventRef, Metadata, StoredEvent};
use crate::store::{Fold, Visitor};
use crate::telemetry::TraceContext;

/// Stores an event and reads it back.
async fn kept<S: EventStore>(open: impl AsyncFn() -> S, event: NewEvent) -> StoredEvent {
    let (store, stream) = (open().await, a_stream());
    appended(&store, &stream, vec![event]).await;
    last(&store, &stream).await
}

/// Stores an event with an origin and reads it back.
async fn kept_of<S: EventStore>(open: impl AsyncFn() -> S, origin: Origin) -> StoredEvent {
    kept(open, NewEvent { origin: Arc::new(origin), ..an_event("Placed", "1") }).await
}

fn with_everything() -> Origin {
    Origin {
        correlation_id: Some(Uuid::now_v7()),
        causation_id: Some(Uuid::now_v7()),
        metadata: Metadata::from_iter([("tenant", "north")]),
        trace_context: Some(parent("01")),
        ..origin()
    }
}

fn parent(flags: &str) -> TraceContext {
    let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    text.parse().expect("this is a traceparent")
}

/// Payloads are bytes: what a JSON column would change, refuse or lose comes back as it was.
pub async fn payload_is_kept_byte_for_byte<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let payloads: [&[u8]; 10] = [
        b"",
        br#"{"nul":"\u0000"}"#,
        br#"{"surrogate":"\ud800"}"#,
        br#"{"large":1e400,"zero":-0.0,"exact":1.10}"#,
        br#"{"b":1,"a":2,"b":3}"#,
        br"  [ 18446744073709551615 , -170141183460469231731687303715884105728 ]  ",
        b"\0\x01\xff\xfe not even text",
        "{\"text\":\"\u{202e}\u{1F600}\"}".as_bytes(),
        b"null",
        b"''; DROP TABLE events; --",
    ];
    appended(&store, &stream, payloads.iter().map(|payload| an_event("Placed", *payload)).collect()).await;
    let read: Vec<_> = stored(&store, &stream).await.iter().map(|event| event.payload().clone()).collect();
    assert_eq!(read, payloads);
}

/// The name of an event's type comes back, however long and in whatever script.
pub async fn event_type_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let name = "Auftragsbestätigung.Versendet.注文\u{1F600}.that_has_a_name_of_some_more_than_a_hundred_characters_because_nobody_limits_it";
    assert_eq!(*kept(open, an_event(name, "1")).await.event_type, *name);
}

/// The largest schema version comes back.
pub async fn schema_version_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    for schema_version in [0, 40_000, u32::MAX] {
        let event = NewEvent { schema_version, ..an_event("Placed", "1") };
        assert_eq!(kept(&open, event).await.schema_version, schema_version);
    }
}

/// The time comes back to the microsecond, also before 1970.
pub async fn recorded_at_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    for micros in [1_792_000_000_123_456, -1] {
        let recorded_at = Timestamp::from_micros(micros);
        assert_eq!(kept_of(&open, Origin { recorded_at, ..origin() }).await.recorded_at, recorded_at);
    }
}

/// The correlation id comes back.
pub async fn correlation_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let origin = with_everything();
    assert_eq!(kept_of(open, origin.clone()).await.correlation_id, origin.correlation_id);
}

/// The causation id comes back.
pub async fn causation_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let origin = with_everything();
    assert_eq!(kept_of(open, origin.clone()).await.causation_id, origin.causation_id);
}

/// Metadata comes back with every name and value, whatever characters they hold.
pub async fn metadata_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let pairs = [("tenant", "north \"1\""), ("zero", "\0"), ("", "no name"), ("no value", ""), ("ä", "\u{1F600}\n")];
    let metadata = Metadata::from_iter(pairs);
    assert_eq!(kept_of(open, Origin { metadata: metadata.clone(), ..origin() }).await.metadata, metadata);
}

/// The trace's parent comes back, sampled or not.
pub async fn trace_parent_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    for context in [parent("00"), parent("01")] {
        let origin = Origin { trace_context: Some(context.clone()), ..origin() };
        let stored = kept_of(&open, origin).await;
        let stored = stored.trace_context.as_ref().map(TraceContext::traceparent);
        assert_eq!(stored, Some(context.traceparent()));
    }
}

/// The trace's state comes back.
pub async fn trace_state_is_kept<S: EventStore>(open: impl AsyncFn() -> S) {
    let context = parent("01").with_state("vendor=a:1,other=%20b");
    let origin = Origin { trace_context: Some(context.clone()), ..origin() };
    assert_eq!(kept_of(open, origin).await.trace_context, Some(context));
}

/// What an event lacks stays absent.
pub async fn what_is_absent_stays_absent<S: EventStore>(open: impl AsyncFn() -> S) {
    let origin = Origin { trace_context: None, ..origin() };
    let event = kept_of(open, origin).await;
    assert_eq!((event.correlation_id, event.causation_id), (None, None));
    assert!(event.metadata.is_empty() && event.trace_context.is_none() && !event.has_malformed_context());
}

/// Each event of an append has its own id, type, schema version and origin.
pub async fn events_of_one_append_keep_what_is_theirs<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let own = |number: u32, event_type: &'static str| {
        let recorded_at = Timestamp::from_micros(i64::from(number) * 1_000_000);
        let origin = Arc::new(Origin { recorded_at, ..origin() });
        NewEvent { schema_version: number, origin, ..an_event(event_type, number.to_string()) }
    };
    let batch = vec![own(1, "Placed"), own(2, "Shipped"), own(3, "Placed")];
    appended(&store, &stream, batch.clone()).await;
    for (event, new) in stored(&store, &stream).await.iter().zip(&batch) {
        assert_eq!((event.id, &*event.event_type, event.schema_version), (new.id, new.event_type, new.schema_version));
        assert_eq!(event.recorded_at, new.origin.recorded_at);
    }
}

/// The feed shows events whole, as their stream does.
pub async fn feed_shows_what_the_stream_shows<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream, origin) = (open().await, a_stream(), Arc::new(with_everything()));
    let batch = events(3).into_iter().map(|event| NewEvent { origin: Arc::clone(&origin), ..event }).collect();
    appended(&store, &stream, batch).await;
    assert_eq!(feed(&store, &Filter::all(), 10).await, stored(&store, &stream).await);
}

/// What a fold shows of an event.
type Shown = (Version, u64, String, u32, Vec<u8>, String);

#[derive(Default)]
struct Notes(Vec<Shown>);

impl Visitor for Notes {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        let (event_type, stream) = (event.event_type.to_owned(), event.stream.to_string());
        let payload = event.payload.to_vec();
        self.0.push((event.version, event.position.get(), event_type, event.schema_version, payload, stream));
        ControlFlow::Continue(())
    }
}

/// A fold shows of each event what a decoder needs, as the stream has it.
pub async fn fold_shows_what_the_stream_shows<S: EventStore>(open: impl AsyncFn() -> S) {
    let (store, stream) = (open().await, a_stream());
    let second = NewEvent { schema_version: 7, ..an_event("Shipped", "two") };
    appended(&store, &stream, vec![an_event("Placed", "one"), second]).await;
    let fold = Fold { stream: stream.clone(), after: Version::START, first_event: None };
    let folded = store.fold(fold, Notes::default()).await.expect("a stream can be folded");
    let expected = stored(&store, &stream).await.into_iter().map(|event| {
        let (event_type, payload) = (event.event_type.to_string(), event.payload().to_vec());
        (event.version, event.position.get(), event_type, event.schema_version, payload, event.stream.to_string())
    });
    assert_eq!(folded.visitor.0, expected.collect::<Vec<_>>());
}
