//! The names of headers.

/// The W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The W3C trace state; omitted if there is none.
pub const TRACESTATE: &str = "tracestate";
/// The event's id.
pub const EVENT_ID: &str = "event_id";
/// The stored name of the event's type.
pub const EVENT_TYPE: &str = "event_type";
/// The version of the payload's schema.
pub const EVENT_VERSION: &str = "event_version";
/// The aggregate's id.
pub const AGGREGATE_ID: &str = "aggregate_id";
/// The aggregate's type.
pub const AGGREGATE_TYPE: &str = "aggregate_type";
/// The version of the aggregate after the event.
pub const AGGREGATE_VERSION: &str = "aggregate_version";
/// When the event was recorded, in RFC 3339.
pub const OCCURRED_AT: &str = "occurred_at";
/// Shared by all that follows from one initial message.
pub const CORRELATION_ID: &str = "correlation_id";
/// What led to the event.
pub const CAUSATION_ID: &str = "causation_id";
/// The content type of the payload.
pub const CONTENT_TYPE: &str = "content-type";
/// What a dead letter has besides.
pub(super) const DEAD_LETTER: [&str; 4] =
    [DEAD_LETTER_REASON, DEAD_LETTER_ATTEMPTS, DEAD_LETTER_AT, DEAD_LETTER_SOURCE];
/// On a dead letter: the short name of the failure, never its text.
pub const DEAD_LETTER_REASON: &str = "dead_letter_reason";
/// On a dead letter: how often handling it failed, as a dead letter too.
pub const DEAD_LETTER_ATTEMPTS: &str = "dead_letter_attempts";
/// On a dead letter: when it was set aside, in RFC 3339.
pub const DEAD_LETTER_AT: &str = "dead_letter_at";
/// On a dead letter: where it came from when it first failed for good.
pub const DEAD_LETTER_SOURCE: &str = "dead_letter_source";
