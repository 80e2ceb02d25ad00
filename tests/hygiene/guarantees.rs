//! The page that names the test beside each promise names tests that there are.

mod script;
mod sources;

use sources::sources;

const PAGE: &str = include_str!("../../eventsource-runtime/docs/guarantees.md");

#[test]
fn every_test_that_is_named_exists() {
    let mut known = cases();
    let folders = ["eventsource-runtime/src", "eventsource-macros/core/src", "tests"];
    known.extend(folders.into_iter().flat_map(sources).flat_map(|source| source.tests()));
    let (mut named, mut missing, mut column) = (0, Vec::new(), 0);
    for row in PAGE.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        // A table's head says which of its columns names tests.
        column = cells.iter().position(|cell| *cell == "test").unwrap_or(column);
        let mut before = String::new();
        for path in paths(cells.get(column).copied().unwrap_or_default()) {
            named += 1;
            let is_known = |path: &String| known.iter().any(|test| is_like(test, path));
            match readings(&path, &before).into_iter().find(is_known) {
                Some(found) => before = found,
                None => missing.push(path),
            }
        }
    }
    assert!(named > 350, "{named} tests are named");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The cases of the suites that every store and every bus has to pass.
fn cases() -> Vec<String> {
    let suites = sources("eventsource-runtime/src/testing/suite");
    let lists = suites.iter().flat_map(|suite| suite.text.split("{ @ $back").skip(1));
    let names = lists.flat_map(|list| list.split('}').next().unwrap_or_default().split_whitespace());
    names.map(|name| format!("suite::{name}")).collect()
}

/// The paths in a cell, those in braces one by one.
fn paths(cell: &str) -> Vec<String> {
    let codes = cell.split('`').skip(1).step_by(2).filter(|code| code.contains("::"));
    // A package of its own, in a folder of the other name.
    codes.flat_map(each).map(|path| path.replace("eventsource-matrix", "matrix")).collect()
}

fn each(code: &str) -> Vec<String> {
    let Some((before, rest)) = code.split_once('{') else { return vec![code.to_owned()] };
    let (names, after) = rest.split_once('}').unwrap_or((rest, ""));
    names.split(", ").map(|name| format!("{before}{name}{after}")).collect()
}

/// What a path may stand for: one that begins with `…` goes on in one of the modules of the path before it.
fn readings(path: &str, before: &str) -> Vec<String> {
    match path.strip_prefix("…::") {
        Some(rest) if !before.is_empty() => {
            before.match_indices("::").map(|(end, _)| format!("{}::{rest}", &before[..end])).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// Whether a path is what is written with `…` for some of it.
fn is_like(path: &str, written: &str) -> bool {
    let Some((first, rest)) = written.split_once('…') else { return path == written };
    let Some(left) = path.strip_prefix(first) else { return false };
    (0..=left.len()).any(|at| left.get(at..).is_some_and(|left| is_like(left, rest)))
}
