//! What `rotel` shows: text for a reader, in the shape of the Collector's debug exporter.

use opentelemetry::trace::{Event, Link, SpanKind, Status};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::{Log, Metric, Point, context};

/// What stands behind the name of a field, in the first line that has it.
fn field<'a>(lines: &'a [String], name: &str) -> &'a str {
    let of = |line: &'a String| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    };
    lines.iter().find_map(of).unwrap_or_default()
}

/// What is indented below each line that begins so.
fn below<'a>(lines: &'a [String], head: &'a str) -> impl Iterator<Item = &'a [String]> {
    let heads = lines.iter().enumerate().filter(move |(_, line)| line.starts_with(head));
    heads.map(move |(at, _)| {
        let rest = &lines[at + 1..];
        &rest[..rest.iter().position(|line| !line.starts_with(' ')).unwrap_or(rest.len())]
    })
}

pub(super) fn span(lines: &[String]) -> SpanData {
    let kind = match field(lines, "Kind") {
        "SPAN_KIND_INTERNAL" => SpanKind::Internal,
        "SPAN_KIND_SERVER" => SpanKind::Server,
        "SPAN_KIND_CLIENT" => SpanKind::Client,
        "SPAN_KIND_PRODUCER" => SpanKind::Producer,
        "SPAN_KIND_CONSUMER" => SpanKind::Consumer,
        other => panic!("{other}: {lines:#?}"),
    };
    let ids = ["Trace ID", "ID", "Parent ID"].map(|name| field(lines, name));
    let mut span = super::span(field(lines, "Name"), kind, ids, field(lines, "Start time"));
    span.attributes = below(lines, "Attributes:").flat_map(|lines| attributes(lines, "     -> ")).collect();
    // A level deeper than their names and ids.
    let deep = |lines: &[String]| attributes(lines, "          -> ");
    let event = |of: &[String]| Event::new(field(of, "-> Name").to_owned(), span.start_time, deep(of), 0);
    span.events.events = below(lines, "SpanEvent #").map(event).collect();
    let link = |of: &[String]| Link::new(context(field(of, "-> Trace ID"), field(of, "-> ID")), deep(of), 0);
    span.links.links = below(lines, "SpanLink #").map(link).collect();
    span.status = match field(lines, "Status code") {
        "" | "STATUS_CODE_UNSET" => Status::Unset,
        "STATUS_CODE_OK" => Status::Ok,
        "STATUS_CODE_ERROR" => Status::error(field(lines, "Status message").to_owned()),
        other => panic!("{other}: {lines:#?}"),
    };
    span
}

fn attributes(lines: &[String], indented: &str) -> Vec<KeyValue> {
    let attribute = |line: &String| {
        let (key, shown) = line.strip_prefix(indented)?.split_once(": ")?;
        Some(KeyValue::new(key.to_owned(), value(shown)))
    };
    lines.iter().filter_map(attribute).collect()
}

/// What stands in the brackets of a type: `Int(7)`.
fn in_brackets<'a>(shown: &'a str, of: &str) -> Option<&'a str> {
    shown.strip_prefix(of)?.strip_prefix('(')?.strip_suffix(')')
}

fn value(shown: &str) -> Value {
    let of = |of| in_brackets(shown, of);
    let number = || of("Int").map(|number| number.parse::<i64>().unwrap().into());
    let bool = || of("Bool").map(|bool| bool.parse::<bool>().unwrap().into());
    let float = || of("Double").map(|float| float.parse::<f64>().unwrap().into());
    let texts = || {
        let texts = of("Slice")?.split(", ").map(|one| in_brackets(one, "Str").expect("a list of texts").to_owned());
        Some(Value::Array(Array::String(texts.map(StringValue::from).collect())))
    };
    let text = of("Str").map(|text| text.to_owned().into());
    text.or_else(number).or_else(bool).or_else(float).or_else(texts).unwrap_or_else(|| panic!("{shown}"))
}

pub(super) fn log(lines: &[String]) -> Log {
    let body = field(lines, "Body");
    Log {
        body: in_brackets(body, "Str").unwrap_or(body).to_owned(),
        severity: field(lines, "SeverityText").to_owned(),
        trace_id: field(lines, "Trace ID").to_owned(),
        span_id: field(lines, "Span ID").to_owned(),
    }
}

pub(super) fn metric(lines: &[String]) -> Metric {
    let of = |name: &str| field(lines, &format!("-> {name}"));
    let mut metric = Metric {
        name: of("Name").to_owned(),
        unit: of("Unit").to_owned(),
        of: of("DataType").to_lowercase(),
        points: Vec::new(),
    };
    for line in lines {
        if line.contains("DataPoints #") {
            metric.points.push(Point::default());
        }
        let Some(point) = metric.points.last_mut() else { continue };
        match line.split_once(": ") {
            Some(("Value" | "Count", number)) => number.clone_into(&mut point.number),
            Some((key, value)) if key.trim_start().starts_with("-> ") => {
                let value = in_brackets(value, "Str").unwrap_or(value);
                point.attributes.insert(key.trim_start().trim_start_matches("-> ").to_owned(), value.to_owned());
            }
            _ => {}
        }
    }
    metric
}
