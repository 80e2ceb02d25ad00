//! What would be an event of a span, as a log event.

use opentelemetry::{KeyValue, Value};

use super::ids;
use crate::telemetry::names;

/// A span event of the current span.
pub(in crate::telemetry) fn span_event(name: &str, attributes: &[KeyValue]) {
    let value = |key| attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|found| &found.value);
    let text = |key| value(key).map(Value::as_str);
    let number = |key| match value(key) {
        Some(Value::I64(number)) => Some(*number),
        _ => None,
    };
    let event_type = text(names::EVENTSOURCE_EVENT_TYPE);
    let event_type = event_type.as_deref();
    if name == names::EVENT_PERSISTED {
        let (version, position) = (number(names::EVENTSOURCE_VERSION), number(names::EVENTSOURCE_POSITION));
        event!(
            "eventsource.span_event.event_persisted",
            names::LOG_SPAN_EVENT,
            INFO,
            { eventsource.event.r#type = event_type, eventsource.version = version, eventsource.position = position },
            "event_persisted"
        );
    } else {
        event!(
            "eventsource.span_event.domain_event_produced",
            names::LOG_SPAN_EVENT,
            INFO,
            { eventsource.event.r#type = event_type },
            "domain_event_produced"
        );
    }
}
