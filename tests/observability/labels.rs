//! The labels in the queries and in the tests of the alerts are those of a scrape: a query that asks for one that no
//! series has finds too little, or nothing, and says nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use eventsource_tests::scratch::Scratch;
use serde_json::Value;

use crate::scraped::{Labels, PATIENCE, Prometheus, service};
use crate::{dashboard, folder, panels, program, rules, series, yaml};

const NAME: &str = "__name__";
/// By which the alerts know that a process lives.
const TARGET: &str = "target_info";

/// What stands in the brackets after each of a word.
fn after<'a>(query: &'a str, word: &str) -> Vec<&'a str> {
    query
        .match_indices(word)
        .filter_map(|(at, _)| query[at + word.len()..].split_once(')'))
        .map(|(names, _)| names)
        .collect()
}

/// What stands in the braces of a query.
fn selectors(query: &str) -> impl Iterator<Item = &str> {
    query.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(selector, _)| selector)
}

/// The labels that a query names: by which it groups and joins, and which it selects.
fn labels(query: &str) -> BTreeSet<String> {
    let grouped = ["by (", "on ("].into_iter().flat_map(|word| after(query, word)).flat_map(|names| names.split(','));
    let selected =
        selectors(query).flat_map(|selector| selector.split(',')).filter_map(|each| each.split(['=', '!']).next());
    grouped.chain(selected).map(|label| label.trim().to_owned()).collect()
}

/// What a query asks for that a label is, or is not.
fn selected_values(query: &str) -> BTreeSet<&str> {
    let quoted = selectors(query).flat_map(|selector| selector.split('"').skip(1).step_by(2));
    let is_name = |value: &&str| value.starts_with(|first: char| first.is_ascii_alphabetic());
    quoted.flat_map(|value| value.split('|')).filter(is_name).collect()
}

/// The labels in a text that is made of them: `{{label}}`.
fn shown(text: &str) -> Vec<&str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(label, _)| label.trim()).collect()
}

/// A series of the tests of the alerts: `name{label="value", ..}`.
fn written(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap();
    let pairs = rest.trim_end_matches('}').split(", ").map(|pair| pair.split_once('=').unwrap());
    let labels = pairs.map(|(label, value)| (label.to_owned(), value.trim_matches('"').to_owned()));
    labels.chain([(NAME.to_owned(), name.to_owned())]).collect()
}

/// The series as it is scraped: with the labels that it has there besides. `None` where none has all of its labels.
fn completed(written: &Labels, scraped: &[Labels]) -> Option<Labels> {
    let is_same =
        |series: &&Labels| series[NAME] == written[NAME] && written.keys().all(|label| series.contains_key(label));
    let nearest = scraped.iter().filter(is_same).min_by_key(|series| series.len())?;
    let mut completed = nearest.clone();
    completed.extend(written.clone());
    Some(completed)
}

fn text(series: &Labels) -> String {
    let labels = series.iter().filter(|(label, _)| *label != NAME).map(|(label, value)| format!("{label}={value:?}"));
    format!("{}{{{}}}", series[NAME], labels.collect::<Vec<_>>().join(", "))
}

/// Each text of a series in the tests of the alerts.
fn each_series(tests: &mut Value) -> impl Iterator<Item = &mut Value> {
    let tests = tests["tests"].as_array_mut().unwrap().iter_mut();
    tests.flat_map(|test| test["input_series"].as_array_mut().unwrap()).map(|input| &mut input["series"])
}

/// Every query: of the rules, of the alerts and of the dashboard.
fn queries() -> Vec<String> {
    rules("record").into_iter().chain(rules("alert")).map(|(_, query)| query).chain(panels()).collect()
}

/// The tests of the alerts with their series as they are scraped, once the scrape has all that they and the queries
/// name.
fn scraped_tests(prometheus: &Prometheus) -> Value {
    let started = Instant::now();
    loop {
        let (scraped, mut tests) = (prometheus.series(), yaml("rules.test.yml"));
        let known = labels_by_name(&scraped);
        let unknown = queries().into_iter().map(|query| (unknown(&query, &known), query));
        let unknown = unknown.filter(|(labels, _)| !labels.is_empty());
        let mut missing: Vec<_> = unknown.map(|(labels, query)| format!("{labels:?}, in {query}")).collect();
        for input in each_series(&mut tests) {
            let series = written(input.as_str().unwrap());
            match completed(&series, &scraped) {
                Some(completed) => *input = text(&completed).into(),
                None => missing.push(text(&series)),
            }
        }
        if missing.is_empty() {
            return tests;
        }
        assert!(started.elapsed() < PATIENCE, "nothing is scraped that has these labels: {missing:#?}, of {known:#?}");
        // Prometheus scrapes every other second.
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// Runs the tests of the alerts with other series; what `promtool` says where they fail.
fn tested(promtool: &Path, mut tests: Value) -> Result<(), String> {
    let rules = folder().join("rules.yml").canonicalize().unwrap();
    tests["rule_files"] = [rules.to_str().unwrap()].into();
    let scratch = Scratch::new();
    let file = scratch.folder().join("tests.yml");
    fs::write(&file, tests.to_string()).unwrap();
    let ran = Command::new(promtool).args(["test", "rules"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    if ran.status.success() { Ok(()) } else { Err(said) }
}

/// The labels that the series of each name have.
fn labels_by_name(scraped: &[Labels]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut by_name = BTreeMap::<_, BTreeSet<_>>::new();
    for series in scraped {
        by_name.entry(&*series[NAME]).or_default().extend(series.keys().map(String::as_str));
    }
    by_name
}

/// The labels in a query that none of the series has which it names.
fn unknown(query: &str, known: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let mut named = series(query);
    if query.contains(TARGET) {
        named.insert(TARGET.to_owned());
    }
    let has =
        |label: &String| named.iter().any(|name| known.get(&**name).is_some_and(|labels| labels.contains(&**label)));
    labels(query).into_iter().filter(|label| !has(label)).collect()
}

/// Each query of the dashboard, with the labels that its legend shows.
fn legends() -> Vec<(String, Vec<String>)> {
    let dashboard = dashboard();
    let targets =
        dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let legends =
        targets.map(|target| shown(target["legendFormat"].as_str().unwrap()).into_iter().map(str::to_owned).collect());
    panels().into_iter().zip(legends).collect()
}

#[test]
fn queries_and_the_tests_of_the_alerts_know_the_labels_of_a_scrape() {
    let Some(found) = program("PROMETHEUS", "prometheus") else { return };
    let (_service, address) = service();
    let prometheus = Prometheus::start(found, &address);
    let tests = scraped_tests(&prometheus);
    if let Some(promtool) = program("PROMTOOL", "promtool") {
        tested(&promtool, tests).unwrap();
    }
}

/// An example has no use for every failure that an alert is about: the registry and the errors of commands know what
/// there is.
#[test]
fn the_values_that_queries_select_can_be_there() {
    let runtime = folder().join("../../eventsource-runtime");
    let read = |file| fs::read_to_string(runtime.join(file)).unwrap();
    let (registry, errors) = (read("registry.yaml"), read("src/dispatch/error.rs"));
    let values = registry.lines().filter(|line| line.contains("value: ") || line.contains("examples: "));
    let values = values.flat_map(|line| line.split(|part: char| !part.is_ascii_alphanumeric() && part != '_'));
    let known: BTreeSet<_> = values.chain(errors.split('"').skip(1).step_by(2)).collect();
    let queries = queries();
    let selected: BTreeSet<_> = queries.iter().flat_map(|query| selected_values(query)).collect();
    assert!(selected.contains("relay") && selected.contains("bad_payload"), "{selected:?}");
    let unknown: Vec<_> = selected.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_legend_shows_what_its_query_groups_by() {
    for (query, legend) in legends() {
        let grouped = labels(&query);
        let missing: Vec<_> = legend.iter().filter(|label| !grouped.contains(*label)).collect();
        assert!(missing.is_empty(), "the legend of {query} shows {missing:?}");
    }
}

#[test]
fn a_label_that_nothing_has_is_found() {
    let scraped =
        [r#"a:b{job="j", kind="k"}"#, r#"a:b{job="j", kind="k", error_type="e"}"#, r#"a:c{job="j"}"#].map(written);
    let known = labels_by_name(&scraped);
    assert_eq!(unknown(r#"sum by (job, kind) (a:b{error_type!=""})"#, &known), [""; 0]);
    assert_eq!(unknown(r#"sum by (kinds) (a:b{other=~"x"}) and on (job) a:c"#, &known), ["kinds", "other"]);
    assert_eq!(unknown("sum by (kind) (a:c)", &known), ["kind"]);

    let short = written(r#"a:b{job="other"}"#);
    assert_eq!(text(&completed(&short, &scraped).unwrap()), r#"a:b{job="other", kind="k"}"#);
    assert_eq!(completed(&written(r#"a:b{kinds="k"}"#), &scraped), None);
    assert_eq!(completed(&written(r#"a:d{job="j"}"#), &scraped), None);
}
