//! The page that names the test beside each promise names tests that there are.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../eventsource-runtime/docs/guarantees.md");

#[test]
fn every_test_that_is_named_exists() {
    let mut known = HashSet::new();
    for folder in ["eventsource-runtime", "eventsource-macros", "tests"] {
        gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut known);
    }
    let named: Vec<String> = PAGE.lines().filter(|line| line.starts_with('|')).flat_map(named).collect();
    assert!(named.len() > 200, "{} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !known.iter().any(|known| is_like(known, name))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The last segments of the paths in a row's last column, those in braces one by one.
fn named(row: &str) -> Vec<String> {
    let column = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    let paths = column.split('`').skip(1).step_by(2).filter(|code| code.contains("::"));
    let names = paths.flat_map(|path| match path.split_once('{') {
        None => vec![path.rsplit("::").next().unwrap_or(path).to_owned()],
        Some((before, rest)) => {
            let (each, after) = rest.split_once('}').unwrap_or((rest, ""));
            let prefix = before.rsplit("::").next().unwrap_or_default();
            each.split(", ").map(|one| format!("{prefix}{one}{after}")).collect()
        }
    });
    names.filter(|name| name != "…").collect()
}

/// Whether a name is what is written with `…` for some of it.
fn is_like(name: &str, written: &str) -> bool {
    let mut parts = written.split('…');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut is_open = false;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        (rest, is_open) = (behind, part.is_empty());
    }
    rest.is_empty() || is_open
}

/// Every function and module of the Rust files below.
fn gather(folder: &Path, known: &mut HashSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            gather(&path, known);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for keyword in ["fn ", "mod "] {
                for found in text.split(keyword).skip(1) {
                    known.insert(found.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
                }
            }
        }
    }
}
