//! What `oteltap` shows: OTLP as JSON, a line a span, log record or metric.

use opentelemetry::trace::{Event, Link, SpanKind, Status};
use opentelemetry::{Array, KeyValue, StringValue, Value as AnyValue};
use opentelemetry_sdk::trace::SpanData;
use serde_json::Value;

use super::{Log, Metric, Point, Received, context};

/// What a line tells, if it is one of those.
pub(super) fn received(json: &Value) -> Option<Received> {
    if json["startTimeUnixNano"].is_string() && json["kind"].is_u64() {
        return Some(Received::Span(Box::new(span(json))));
    }
    if json["severityText"].is_string() {
        return Some(Received::Log(Log {
            body: text(&json["body"], "stringValue").to_owned(),
            severity: text(json, "severityText").to_owned(),
            trace_id: text(json, "traceId").to_owned(),
            span_id: text(json, "spanId").to_owned(),
        }));
    }
    metric(json).map(Received::Metric)
}

fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json[key].as_array().into_iter().flatten()
}

fn span(json: &Value) -> SpanData {
    let kind = match json["kind"].as_u64() {
        Some(1) => SpanKind::Internal,
        Some(2) => SpanKind::Server,
        Some(3) => SpanKind::Client,
        Some(4) => SpanKind::Producer,
        Some(5) => SpanKind::Consumer,
        _ => panic!("no kind of span: {json}"),
    };
    let ids = ["traceId", "spanId", "parentSpanId"].map(|key| text(json, key));
    let mut span = super::span(text(json, "name"), kind, ids, text(json, "startTimeUnixNano"));
    span.attributes = attributes(json);
    let event = |of: &Value| Event::new(text(of, "name").to_owned(), span.start_time, attributes(of), 0);
    span.events.events = list(json, "events").map(event).collect();
    let link = |of: &Value| Link::new(context(text(of, "traceId"), text(of, "spanId")), attributes(of), 0);
    span.links.links = list(json, "links").map(link).collect();
    span.status = match json["status"]["code"].as_u64() {
        None | Some(0) => Status::Unset,
        Some(1) => Status::Ok,
        Some(_) => Status::error(text(&json["status"], "message").to_owned()),
    };
    span
}

fn attributes(of: &Value) -> Vec<KeyValue> {
    list(of, "attributes").map(|one| KeyValue::new(text(one, "key").to_owned(), value(&one["value"]))).collect()
}

fn value(json: &Value) -> AnyValue {
    // As Protobuf's JSON has them, whole numbers are text.
    let (of, value) = json.as_object().and_then(|object| object.iter().next()).expect("a value has a type");
    match (&**of, value) {
        ("stringValue", Value::String(text)) => text.clone().into(),
        ("intValue", Value::String(number)) => number.parse::<i64>().unwrap().into(),
        ("boolValue", Value::Bool(bool)) => (*bool).into(),
        ("doubleValue", Value::Number(number)) => number.as_f64().unwrap().into(),
        ("arrayValue", array) => {
            let texts = list(array, "values").map(|one| text(one, "stringValue").to_owned());
            AnyValue::Array(Array::String(texts.map(StringValue::from).collect()))
        }
        _ => panic!("no value that was sent: {json}"),
    }
}

fn metric(json: &Value) -> Option<Metric> {
    let of = ["sum", "gauge", "histogram"].into_iter().find(|of| json[of].is_object())?;
    let attributes = |point: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let attribute = |of: &Value| Some((text(&of["key"])?, text(&of["value"]["stringValue"])?));
        list(point, "attributes").filter_map(attribute).collect()
    };
    let number = |point: &Value| {
        let numbers = ["asInt", "asDouble", "count"].map(|key| &point[key]);
        let number = numbers.into_iter().find(|number| !number.is_null()).expect("a point has a number");
        number.as_str().map_or_else(|| number.to_string(), str::to_owned)
    };
    let points = json[of]["dataPoints"].as_array()?.iter();
    let points = points.map(|point| Point { attributes: attributes(point), number: number(point) });
    let text = |key: &str| text(json, key).to_owned();
    Some(Metric { name: text("name"), unit: text("unit"), of: of.to_owned(), points: points.collect() })
}
