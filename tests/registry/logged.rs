//! Log events: those in the sources are those of the registry, and what is logged is as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex};

use eventsource_tests::registry::{Logged, Registry};
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
            seen.entry(logged.name.clone()).or_default().extend(logged.fields.iter().cloned());
        }
        (faults, seen)
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
            fields: fields.names,
        });
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    names: Vec<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "trace_id" | "span_id" => {}
            name => self.names.push(name.to_owned()),
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
        logged.target = registry.log_target(name).to_owned();
        assert_eq!(registry.check_log(&logged), [""; 0]);
    }
}
