//! Span events as log events.

use opentelemetry::{Context, KeyValue, Value};

use crate::telemetry::names;

/// Attributes named by users, which the log record of the span event in this context carries too: fields of `tracing`
/// are fixed at compile time.
#[derive(Debug)]
pub(in crate::telemetry) struct Named(pub(in crate::telemetry) Vec<KeyValue>);

/// A span event of the current span.
pub(in crate::telemetry) fn span_event(name: &str, attributes: Vec<KeyValue>) {
    let (known, named): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|attribute| {
        let ours = [names::EVENTSOURCE_EVENT_TYPE, names::EVENTSOURCE_VERSION, names::EVENTSOURCE_POSITION];
        ours.contains(&attribute.key.as_str())
    });
    let value = |key| known.iter().find(|attribute| attribute.key.as_str() == key).map(|found| &found.value);
    let text = |key| value(key).map(Value::as_str);
    let number = |key| match value(key) {
        Some(Value::I64(number)) => Some(*number),
        _ => None,
    };
    let event_type = text(names::EVENTSOURCE_EVENT_TYPE);
    let event_type = event_type.as_deref();
    let shown = (!named.is_empty()).then(|| shown(&named));
    let shown = shown.as_deref();
    let _named = (!named.is_empty()).then(|| Context::current_with_value(Named(named)).attach());
    if name == names::EVENT_PERSISTED {
        let (version, position) = (number(names::EVENTSOURCE_VERSION), number(names::EVENTSOURCE_POSITION));
        event!("eventsource.span_event.event_persisted", LOG_SPAN_EVENT, INFO, "event_persisted", {
            eventsource.event.r#type = event_type, eventsource.version = version, eventsource.position = position
        });
    } else {
        event!("eventsource.span_event.domain_event_produced", LOG_SPAN_EVENT, INFO, "domain_event_produced", {
            eventsource.event.r#type = event_type
        } and { eventsource.event.attributes = shown, });
    }
}

/// All of them in one text.
fn shown(named: &[KeyValue]) -> String {
    let each = named.iter().map(|KeyValue { key, value, .. }| format!("{key}={value}"));
    each.collect::<Vec<_>>().join(" ")
}
