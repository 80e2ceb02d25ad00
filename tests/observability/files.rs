//! What the files are, without running anything but `promtool`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use eventsource_tests::registry::Registry;
use serde_json::Value;

use crate::{dashboard, folder, panels, program, rules, series, text, yaml};

#[test]
fn prometheus_takes_the_rules_and_the_alerts_do_as_they_say() {
    let Some(promtool) = program("PROMTOOL", "promtool") else { return };
    for arguments in
        [["check", "rules", "rules.yml"], ["check", "config", "prometheus.yml"], ["test", "rules", "rules.test.yml"]]
    {
        let ran = Command::new(&promtool).args(arguments).current_dir(folder()).output().unwrap();
        assert!(
            ran.status.success(),
            "{arguments:?}: {}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    let tested = text("rules.test.yml");
    for (alert, _) in rules("alert") {
        assert!(tested.contains(&format!("alertname: {alert}")), "no test of {alert}");
    }
}

#[test]
fn every_query_names_metrics_of_the_registry() {
    let known = Registry::load().scraped_names();
    let recorded: BTreeSet<_> = rules("record").into_iter().map(|(name, _)| name).collect();
    let queries = rules("record").into_iter().chain(rules("alert")).map(|(_, query)| query).chain(panels());
    let mut named = 0;
    for query in queries {
        for name in series(&query) {
            named += 1;
            assert!(known.contains(&name) || recorded.contains(&name), "`{name}`, in {query}");
        }
    }
    assert!(named > 30, "the queries were not read");
}

/// As other implementations have them; durations are in seconds here, which the name says.
#[test]
fn the_usual_panels_are_there() {
    let panels = panels();
    for usual in [
        "sum(rate(cqrs_command_total{job=~\".*\"}[5m])) by (command_type)",
        "histogram_quantile(0.95, sum(rate(cqrs_query_duration_seconds_bucket{job=~\".*\"}[5m])) by (le, query_type))",
        "histogram_quantile(0.99, sum(rate(cqrs_projection_lag_seconds_bucket{job=~\".*\"}[5m])) by (le, projection_name))",
    ] {
        assert!(panels.iter().any(|panel| panel == usual), "{usual}");
    }
}

/// A counter is born with its first count, of which `rate` sees nothing: what ought never to happen was not shown.
#[test]
fn the_panels_of_what_ought_never_to_happen_show_its_first_time() {
    for rare in ["dead_letters", "lease_lost", "clock_skew", "context_malformed", "attributes_cut"] {
        let name = format!("eventsource_{rare}_total");
        let of_it: Vec<_> = panels().into_iter().filter(|panel| panel.contains(&name)).collect();
        assert!(!of_it.is_empty(), "{name}");
        for panel in of_it {
            assert!(panel.contains("unless last_over_time(") && panel.contains("increase("), "{panel}");
        }
    }
}

/// One that has handled no command yet, or has none, was not in the list.
#[test]
fn the_dashboard_lists_every_service() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let job = variables.iter().find(|variable| variable["name"] == "job").unwrap();
    assert_eq!(job["query"]["query"], "label_values(target_info, job)");
}

#[test]
fn the_dashboard_is_in_order() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{panel} stands on another");
            }
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}");
            assert!(!panel["fieldConfig"]["defaults"]["unit"].is_null(), "{panel}");
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(
        variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["datasource", "job"]
    );
}

/// What Grafana's own model makes of a dashboard, as the script beside this file says it.
fn misread(python: &OsStr, dashboard: &Value) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/grafana.py");
    let mut command = Command::new(python);
    let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(dashboard.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn grafana_knows_every_field_of_the_dashboard() {
    let Some(python) = std::env::var_os("GRAFANA_PYTHON") else {
        eprintln!("skipped: GRAFANA_PYTHON names no Python with grafana-foundation-sdk");
        return;
    };
    let mut dashboard = dashboard();
    assert_eq!(misread(&python, &dashboard), "");
    dashboard["panels"][1]["gridPos"]["depth"] = 3.into();
    assert_eq!(misread(&python, &dashboard), "/panels/1/gridPos/depth is unknown\n");
    let misread_with = |pointer: &str, value: Value| {
        let mut dashboard = self::dashboard();
        *dashboard.pointer_mut(pointer).unwrap() = value;
        misread(&python, &dashboard)
    };
    assert_eq!(misread_with("/panels/1/title", 7.into()), "/panels/1/title is 7, not of <class 'str'>\n");
    let query = misread_with("/panels/1/targets/0/expr", true.into());
    assert_eq!(query, "/panels/1/targets/0/expr is True, not of <class 'str'>\n");
}

#[test]
fn the_compose_file_is_as_the_specification_has_it() {
    let compose = text("compose.yml");
    let read: compose_spec::Compose = serde_yaml_ng::from_str(&compose).unwrap();
    read.validate_all().unwrap();
    let misspelt = compose.replacen("depends_on", "depend_on", 1);
    assert!(serde_yaml_ng::from_str::<compose_spec::Compose>(&misspelt).is_err());
}

#[test]
fn the_services_are_pinned_and_open_to_this_machine_alone() {
    let compose = yaml("compose.yml");
    for (name, service) in compose["services"].as_object().unwrap() {
        let image = service["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap();
        assert!(tag.contains(|character: char| character.is_ascii_digit()) && tag.matches('.').count() == 2, "{image}");
        for port in service["ports"].as_array().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let (file, _) = volume.as_str().unwrap().split_once(':').unwrap();
            assert!(folder().join(file).exists(), "{name}: {file}");
            assert!(volume.as_str().unwrap().ends_with(":ro"), "{name}: {volume}");
        }
    }
}
