//! The registry and what is made of it agree: `UPDATE_REGISTRY=1` writes the generated files anew.

mod buses;
mod elsewhere;
mod emitted;
mod exporter;
mod literature;
mod logged;
mod seldom;
mod starts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use eventsource_runtime::telemetry::{Telemetry, names, span};
use eventsource_tests::registry::Registry;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanKind};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use opentelemetry_semantic_conventions::{attribute, metric};

fn runtime() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../eventsource-runtime")
}

fn assert_up_to_date(path: &str, expected: &str) {
    let path = runtime().join(path);
    if env::var_os("UPDATE_REGISTRY").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let same = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    assert!(
        found == expected,
        "{} differs from registry.yaml at line {}; run `UPDATE_REGISTRY=1 cargo test -p eventsource-tests --test registry`",
        path.display(),
        same + 1
    );
}

#[test]
fn the_constants_are_up_to_date() {
    assert_up_to_date("src/telemetry/names.rs", &Registry::load().constants());
}

#[test]
fn the_page_is_up_to_date() {
    assert_up_to_date("docs/telemetry.md", &Registry::load().page());
}

#[test]
fn no_constant_is_there_twice() {
    let names = Registry::load().constant_names();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn every_name_in_the_sources_is_listed() {
    let listed: BTreeSet<_> = Registry::load().constant_names().into_iter().collect();
    let mut files = Vec::new();
    sources(&runtime().join("src"), &mut files);
    let mut used = 0;
    for (path, text) in files {
        for (at, module) in text.match_indices("names::") {
            // A module whose name ends so is another.
            if text[..at].ends_with('_') {
                continue;
            }
            let after = &text[at + module.len()..];
            let is_part =
                |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
            let name: String = after.chars().take_while(|character| is_part(*character)).collect();
            used += usize::from(!name.is_empty());
            assert!(name.is_empty() || listed.contains(&name), "{}: `{name}` is not in registry.yaml", path.display());
        }
    }
    assert!(used > 50, "the sources were not found");
}

/// The keys without a prefix that the contract names for metrics.
const SHORT: [&str; 9] = [
    "aggregate.type",
    "command.status",
    "command.type",
    "event.type",
    "projection.name",
    "query.status",
    "query.type",
    "result",
    "status",
];

/// Keys of our own say so; the others are OpenTelemetry's, or the short ones of metrics.
#[test]
fn standard_keys_are_those_of_the_conventions() {
    let known = [
        attribute::DB_COLLECTION_NAME,
        attribute::DB_NAMESPACE,
        attribute::DB_OPERATION_BATCH_SIZE,
        attribute::DB_OPERATION_NAME,
        attribute::DB_RESPONSE_STATUS_CODE,
        attribute::DB_SYSTEM_NAME,
        attribute::ERROR_TYPE,
        attribute::EXCEPTION_MESSAGE,
        attribute::MESSAGING_BATCH_MESSAGE_COUNT,
        attribute::MESSAGING_CONSUMER_GROUP_NAME,
        attribute::MESSAGING_DESTINATION_NAME,
        attribute::MESSAGING_DESTINATION_PARTITION_ID,
        attribute::MESSAGING_KAFKA_MESSAGE_KEY,
        attribute::MESSAGING_KAFKA_OFFSET,
        attribute::MESSAGING_MESSAGE_ID,
        attribute::MESSAGING_OPERATION_NAME,
        attribute::MESSAGING_OPERATION_TYPE,
        attribute::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY,
        attribute::MESSAGING_SYSTEM,
        attribute::SERVER_ADDRESS,
        attribute::SERVER_PORT,
    ];
    let registry = Registry::load();
    for (key, group) in registry.attributes() {
        let ours = key.starts_with("cqrs.") || key.starts_with("eventsource.");
        match group {
            "registry.conventions" => assert!(known.contains(&key), "`{key}` is not in the conventions"),
            "registry.metrics" => assert!(SHORT.contains(&key), "`{key}` is no short key"),
            _ => assert!(ours, "`{key}` is not ours to define"),
        }
    }
    for name in registry.logs() {
        for (field, of) in registry.log_types(name) {
            let defined = registry.attribute_type(&field);
            assert_eq!(defined, Some(of), "`{field}` of `{name}` is no attribute, or one of another type");
            assert!(!SHORT.contains(&&*field), "`{field}` of `{name}` is a key of metrics");
        }
    }
    let conventional = [
        metric::DB_CLIENT_OPERATION_DURATION,
        metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        metric::MESSAGING_CLIENT_OPERATION_DURATION,
        metric::MESSAGING_CLIENT_SENT_MESSAGES,
        metric::MESSAGING_PROCESS_DURATION,
        metric::OTEL_SDK_PROCESSOR_LOG_PROCESSED,
        metric::OTEL_SDK_PROCESSOR_SPAN_PROCESSED,
    ];
    for (name, _) in registry.metrics() {
        let ours = name.starts_with("cqrs.") || name.starts_with("eventsource.");
        assert!(ours || conventional.contains(&name), "`{name}` is not in the conventions");
    }
}

/// Without the constants themselves: this test must compile before they are generated.
#[test]
fn constants_have_the_names_of_other_implementations_too() {
    let constants = Registry::load().constants();
    for name in ["AGGREGATE_ID", "AGGREGATE_TYPE", "EVENT_TYPE", "EVENT_COUNT", "VERSION"] {
        let alias = format!("pub const ATTR_{name}: &str = EVENTSOURCE_{name};");
        assert!(constants.contains(&alias), "{alias}");
    }
    assert!(constants.contains("pub const ATTR_DB_SYSTEM: &str = DB_SYSTEM_NAME;"));
    assert!(constants.contains("pub const ATTR_MESSAGING_SYSTEM: &str = MESSAGING_SYSTEM;"));
}

fn spans(body: impl FnOnce()) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let telemetry = Telemetry::builder("registry").simple_exporter(exporter.clone()).build().unwrap();
    let attached = telemetry.attach();
    body();
    drop(attached);
    exporter.get_finished_spans().unwrap()
}

#[test]
fn a_span_is_held_against_the_registry() {
    let registry = Registry::load();
    let good = || {
        span("handle_command")
            .attribute(names::CQRS_SIDE, "write")
            .attribute(names::CQRS_COMMAND_TYPE, "PlaceOrder")
            .attribute(names::EVENTSOURCE_AGGREGATE_TYPE, "Order")
            .attribute(names::EVENTSOURCE_AGGREGATE_ID, "1")
            .attribute("order.line_count", "named by the user")
            .in_scope(|| ());
    };
    let captured = spans(good);
    assert_eq!(registry.check_span(&captured[0]), [""; 0]);

    let mut bad = captured[0].clone();
    bad.span_kind = SpanKind::Client;
    bad.attributes.retain(|attribute| attribute.key.as_str() != names::EVENTSOURCE_AGGREGATE_ID);
    bad.attributes.push(KeyValue::new("eventsource.invented", true));
    bad.attributes.push(KeyValue::new(names::CQRS_EVENTS_COUNT, "one"));
    bad.attributes.push(KeyValue::new(names::CQRS_SIDE, "sideways"));
    bad.events.events.push(Event::new("invented", std::time::SystemTime::now(), Vec::new(), 0));
    assert_eq!(
        registry.check_span(&bad),
        [
            "span `handle_command`: is client, not internal",
            "span `handle_command`: attribute `eventsource.invented` is not listed",
            "span `handle_command`: attribute `cqrs.events.count` is a string, not a int",
            "span `handle_command`: attribute `cqrs.side` cannot be `sideways`",
            "span `handle_command`: attribute `eventsource.aggregate.id` is missing",
            "span `handle_command`: event `invented` is not listed",
        ]
    );

    bad.name = "nowhere".into();
    assert_eq!(registry.check_span(&bad), ["span `nowhere` is not listed"]);
    for (name, kind, listed) in [
        ("command.PlaceOrder", SpanKind::Internal, true),
        ("command.", SpanKind::Internal, false),
        ("projection.Orders", SpanKind::Consumer, true),
        ("projection.insert_read_model", SpanKind::Internal, false),
    ] {
        bad.name = name.into();
        bad.span_kind = kind;
        assert_eq!(registry.lists_span(&bad), listed, "{name}");
    }
}
