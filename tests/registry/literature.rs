//! The tables of names used elsewhere, at the page's end: whatever stands there under "here" is listed, and no name of
//! the literature is missing under "there".

use std::collections::{BTreeMap, BTreeSet};

use eventsource_tests::registry::Registry;

use crate::elsewhere::ELSEWHERE;

const SECTION: &str = "## Names used elsewhere";
/// Begins a cell under "here" that means the names under "there".
const SAME: &str = "the same";
/// What is said under "here" of the library and its macros, which are no names of telemetry.
const WORDS: [&str; 10] = [
    "#[traced]",
    "#[traced(\"projection.insert_read_model\")]",
    "telemetry::span(\"process_event\")",
    ".console_without_endpoint()",
    "attribute",
    "attributes(..)",
    "record",
    "eventsource::{component}",
    "No handler for {name}",
    // A value of `error.type`.
    "no_handler",
];
/// What is the same by W3C's rules, or in every log record; the registry has neither.
const OF_RECORDS_AND_HEADERS: [&str; 4] = ["trace_id", "span_id", "traceparent", "tracestate"];

struct Row<'a> {
    there: &'a str,
    here: &'a str,
}

fn rows(section: &str) -> Vec<Row<'_>> {
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [there, here, _why] = cells[..] else { panic!("three cells: {line}") };
        Row { there, here }
    });
    cells.filter(|row| row.there != "there" && row.there != "---").collect()
}

/// What a cell has in code; `a.{b,c}` is `a.b` and `a.c`.
fn codes(cell: &str) -> Vec<String> {
    let codes = cell.split('`').skip(1).step_by(2);
    codes
        .flat_map(|code| {
            match code.split_once(".{").and_then(|(before, rest)| Some((before, rest.strip_suffix('}')?))) {
                Some((before, each)) if each.contains(',') => {
                    each.split(',').map(|each| format!("{before}.{each}")).collect()
                }
                _ => vec![code.to_owned()],
            }
        })
        .collect()
}

/// Every name and unit that the registry lists, the constants, and what a scrape tells.
fn listed(registry: &Registry) -> BTreeSet<String> {
    let mut listed = registry.scraped_names();
    let names = registry.span_names().into_iter().chain(registry.span_events());
    listed.extend(names.map(str::to_owned));
    for (key, _) in registry.attributes() {
        listed.extend([key.to_owned(), key.replace('.', "_")]);
    }
    for (name, unit) in registry.metrics() {
        listed.extend([name.to_owned(), unit.to_owned()]);
    }
    let constants = registry.constants();
    let constants = constants.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
    listed.extend(constants.map(|(name, _)| name.to_owned()));
    listed
}

/// Whether a name under "here" is one of ours: listed, a word of the library, or a variable that the page explains.
fn is_ours(name: &str, listed: &BTreeSet<String>, explained: &str) -> bool {
    let variable = || {
        let variable = name.split('=').next().unwrap_or(name).trim_end_matches('*');
        variable.starts_with("OTEL_") && explained.contains(&format!("`{variable}"))
    };
    listed.contains(name) || WORDS.contains(&name) || variable()
}

#[test]
fn every_name_that_a_name_of_the_literature_went_to_is_listed() {
    let registry = Registry::load();
    let (page, listed) = (registry.page(), listed(registry));
    let (explained, section) = page.split_once(SECTION).unwrap();
    let rows = rows(section);
    for Row { there, here } in &rows {
        for name in codes(here) {
            assert!(is_ours(&name, &listed, explained), "`{name}`, where {there} went, is not listed");
        }
        if here.starts_with(SAME) {
            for name in codes(there) {
                let same = listed.contains(&name) || OF_RECORDS_AND_HEADERS.contains(&&*name);
                // The units are other ones where that is said.
                let unit = here.contains(", in `") && ["ms", "1"].contains(&&*name);
                assert!(same || unit, "`{name}` is not listed, and so not {here}");
            }
        }
    }
}

/// Whoever migrates finds each name that they have.
#[test]
fn every_name_of_the_literature_is_in_the_table_of_its_kind() {
    let page = Registry::load().page();
    let (_, section) = page.split_once(SECTION).unwrap();
    let tables: BTreeMap<_, _> = section.split("\n### ").skip(1).map(|table| table.split_once('\n').unwrap()).collect();
    for (title, names) in ELSEWHERE {
        let table = tables.get(title).unwrap_or_else(|| panic!("there is a table of {title}"));
        let mut there: Vec<_> = rows(table).iter().flat_map(|row| codes(row.there)).collect();
        for name in names {
            let place = there.iter().position(|there| there == name);
            there.swap_remove(place.unwrap_or_else(|| panic!("`{name}` is not in the table of {title}")));
        }
    }
}

#[test]
fn a_name_that_is_not_listed_is_found() {
    let listed = listed(Registry::load());
    for (name, ours) in [
        ("projection.{Name}", true),
        ("snapshot_store.save", true),
        ("cqrs_query_duration_seconds_bucket", true),
        ("{event}", true),
        ("ATTR_VERSION", true),
        ("OTEL_EXPORTER_OTLP_*", true),
        ("OTEL_TRACES_EXPORTER=console", true),
        ("projection.update", false),
        ("cqrs.projection.lag_ms", false),
        ("cqrs_query_duration_bucket", false),
        ("OTEL_INVENTED", false),
    ] {
        let explained = "`OTEL_EXPORTER_OTLP_ENDPOINT` `OTEL_TRACES_EXPORTER`";
        assert_eq!(is_ours(name, &listed, explained), ours, "{name}");
    }
    assert_eq!(codes("`a.{b,c}` of `d {e}`, `f.{G}`"), ["a.b", "a.c", "d {e}", "f.{G}"]);
}
