//! Log events: those in the sources are those of the registry, and what is logged is as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use eventsource_runtime::telemetry::Telemetry;
use eventsource_tests::alone::{alone, passed};
use eventsource_tests::logged::Log;
use eventsource_tests::registry::{Logged, Registry};

use crate::{runtime, sources};

/// What logs past [`in_sources`].
const MACROS: [&str; 6] = ["event!", "trace!", "debug!", "info!", "warn!", "error!"];

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

/// Nothing would hold it against the registry before it happens.
#[test]
fn nothing_in_the_sources_is_logged_elsewhere_than_where_log_events_are() {
    let here = runtime().join("src/telemetry/log");
    let mut files = Vec::new();
    sources(&runtime().join("src"), &mut files);
    let mut calls = 0;
    for (path, text) in &files {
        // Without the unit tests, which stand at the end.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in MACROS {
                for (at, _) in line.match_indices(name) {
                    let before = &line[..at];
                    if before.ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                        continue;
                    }
                    // The macro of ours, and within it the one of `tracing`.
                    let is_ours = name == "event!" && path.starts_with(&here);
                    let may_log = is_ours && (!before.ends_with("::") || path.ends_with("log/mod.rs"));
                    assert!(may_log, "{}: {}", path.display(), line.trim());
                    calls += 1;
                }
            }
        }
    }
    assert!(calls > 40, "the sources were not found");
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
        numbers: BTreeMap::new(),
        texts: BTreeMap::new(),
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

/// In a process of its own, whose environment is not this one's.
#[tokio::test]
async fn a_setting_that_is_ignored_is_told_as_the_registry_says() {
    const VARIABLE: &str = "OTEL_TRACES_SAMPLER";
    if std::env::var_os(VARIABLE).is_some_and(|sampler| sampler == "sometimes") {
        let (log, _guard) = Log::of_thread();
        drop(Telemetry::from_env("test").build().unwrap());
        log.hears("eventsource.telemetry.setting").await;
        return;
    }
    let test = "logged::a_setting_that_is_ignored_is_told_as_the_registry_says";
    passed(alone(test).env(VARIABLE, "sometimes"), 1);
}
