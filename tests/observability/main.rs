//! The dashboard and the rules in `examples/observability`, against the service there and Debian's Prometheus.
//!
//! `PROMETHEUS` and `PROMTOOL` name the programs; without them, and without any on the path, the tests say that they
//! were skipped.

mod elsewhere;
mod files;
mod labels;
mod schemas;
mod scraped;
#[path = "../../examples/observability/main.rs"]
mod service;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/observability")
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&text(name)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/dashboard.json")).unwrap()
}

/// A program that a variable names, or that is on the path; `None` is said.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from);
    let found = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
    };
    let program = named.or_else(found);
    if program.is_none() {
        eprintln!("skipped: {variable} names no program, and there is no `{name}` on the path");
    }
    program
}

/// The queries of the dashboard, for every service.
fn panels() -> Vec<String> {
    let dashboard = dashboard();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    targets.flatten().map(|target| target["expr"].as_str().unwrap().replace("$job", ".*")).collect()
}

/// The rules of one kind, `record` or `alert`: name and query.
fn rules(kind: &str) -> Vec<(String, String)> {
    let rules = yaml("rules.yml");
    let groups = rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    groups.filter_map(|rule| Some((rule[kind].as_str()?.to_owned(), rule["expr"].as_str()?.to_owned()))).collect()
}

/// The series that a query names: our metrics, and what the rules record.
fn series(query: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let ours = |name: &&str| {
        name.contains(':')
            || ["cqrs_", "eventsource_", "otel_", "db_client_", "messaging_client_", "messaging_process_"]
                .iter()
                .any(|ours| name.starts_with(ours))
    };
    // What stands in braces are labels, and in quotes their values.
    let mut outside = String::new();
    let mut depth = 0;
    for character in query.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        outside.push(if depth == 0 && character != '}' { character } else { ' ' });
    }
    // So are the names after `by` and `on`.
    let grouped = ["by (", "on ("].iter().fold(outside, |query, word| {
        query
            .split(word)
            .enumerate()
            .map(|(nth, part)| if nth == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) })
            .collect::<Vec<_>>()
            .join(" ")
    });
    grouped.split(|character| !is_part(character)).filter(|name| ours(name)).map(str::to_owned).collect()
}
