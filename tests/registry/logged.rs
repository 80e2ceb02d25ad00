//! Log events: those in the sources are those of the registry, and what is logged is as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex};

use eventsource_tests::registry::{Logged, Registry};
use opentelemetry_sdk::trace::SpanData;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::runtime;

/// Everything of ours that was logged in this process.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Logged>>>);

impl Log {
    /// What is wrong with what was logged, and the names and fields that were seen.
    pub(crate) fn check(&self, registry: &Registry) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
        let (mut faults, mut seen) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<String>>::new());
        for logged in self.0.lock().unwrap().iter() {
            faults.extend(registry.check_log(logged));
            seen.entry(logged.name.clone()).or_default().extend(logged.fields.keys().cloned());
        }
        (faults, seen)
    }

    /// The events that lack the ids of the span in which they happened, which is one of `spans`.
    pub(crate) fn check_ids(&self, registry: &Registry, spans: &[SpanData]) -> BTreeSet<String> {
        let ids = |span: &SpanData| (span.span_context.trace_id().to_string(), span.span_context.span_id().to_string());
        let spans: BTreeSet<_> = spans.iter().map(ids).collect();
        let (all, none) = (self.0.lock().unwrap(), <_>::default());
        let is_stray = |logged: &&Logged| {
            let fits = spans.contains(&logged.ids);
            match registry.logs_in_span(&logged.name) {
                // Now and then, but not each time.
                None if logged.ids == none => {
                    !all.iter().any(|other| other.name == logged.name && spans.contains(&other.ids))
                }
                None | Some(true) => !fits,
                // Whoever's span it is told in.
                Some(false) => false,
            }
        };
        let strays = all.iter().filter(is_stray);
        strays.map(|logged| format!("`{}` bears the ids {:?} of no span", logged.name, logged.ids)).collect()
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target().split("::").next() != Some("eventsource") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(Logged {
            name: metadata.name().to_owned(),
            target: metadata.target().to_owned(),
            level: metadata.level().to_string().to_lowercase(),
            message: fields.message,
            fields: fields.types,
            ids: (fields.trace_id, fields.span_id),
        });
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    types: BTreeMap<String, &'static str>,
    trace_id: String,
    span_id: String,
}

impl Fields {
    fn is(&mut self, field: &Field, of: &'static str) {
        self.types.insert(field.name().to_owned(), of);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => value.clone_into(&mut self.trace_id),
            "span_id" => value.clone_into(&mut self.span_id),
            _ => self.is(field, "string"),
        }
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        self.is(field, "int");
    }

    fn record_i64(&mut self, field: &Field, _: i64) {
        self.is(field, "int");
    }

    fn record_f64(&mut self, field: &Field, _: f64) {
        self.is(field, "double");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.is(field, "string"),
        }
    }
}

/// The events that the sources log: name, level and message, which stand there as they are.
fn in_sources() -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(runtime().join("src/telemetry/log")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for call in text.split(" event!(").skip(1).filter(|call| call.trim_start().starts_with('"')) {
            let call = &call[..call.find(");").unwrap()];
            let quoted: Vec<_> = call.split('"').skip(1).step_by(2).collect();
            let (name, message) = (quoted[0], quoted[quoted.len() - 1]);
            let level = ["ERROR", "WARN", "INFO"].into_iter().find(|level| call.contains(&format!(" {level},")));
            found.insert((name.to_owned(), level.unwrap().to_lowercase(), message.to_owned()));
        }
    }
    found
}

#[test]
fn the_log_events_of_the_sources_are_those_of_the_registry() {
    let registry = Registry::load();
    let found = in_sources();
    assert!(found.len() > 20, "the sources were not found");
    let names: BTreeSet<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, registry.logs().into_iter().collect::<BTreeSet<_>>());
    for (name, level, message) in &found {
        let mut logged =
            Logged { name: name.clone(), level: level.clone(), message: message.clone(), ..Logged::default() };
        // The target is a constant there, which the compiler sees; the rest is as it stands.
        for target in registry.log_targets(name) {
            logged.target.clone_from(target);
            logged.fields = registry.log_types(name);
            assert_eq!(registry.check_log(&logged), [""; 0]);
        }
    }
}

#[test]
fn a_log_event_is_held_against_the_registry() {
    let registry = Registry::load();
    let name = "eventsource.projection.retried";
    let good = Logged {
        name: name.to_owned(),
        target: "eventsource::projection".to_owned(),
        level: "warn".to_owned(),
        message: "retried".to_owned(),
        fields: registry.log_types(name),
        ids: <_>::default(),
    };
    assert_eq!(registry.check_log(&good), [""; 0]);
    let mut bad = good.clone();
    bad.level = "info".to_owned();
    bad.fields = BTreeMap::from([("eventsource.retry.count".to_owned(), "string"), ("invented".to_owned(), "int")]);
    let about = |what: &str| format!("log event `{name}`: {what}");
    assert_eq!(
        registry.check_log(&bad),
        [
            about("its level is `info`, not `warn`"),
            about("field `eventsource.retry.count` is a string, not a int"),
            about("field `invented` is not listed"),
            about("field `error.type` is missing"),
            about("field `eventsource.projection.name` is missing"),
        ]
    );
}
