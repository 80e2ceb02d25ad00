//! The tables of the macros' pages list the options that the macros take, in the same order.

use std::fs;
use std::path::Path;

use crate::{aggregate, event, handler, message, process_manager, projection, traced};

/// A page; `None` outside the repository.
fn text(page: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page).with_extension("md");
    if !path.is_file() {
        println!("skipped: the pages are in the repository, not in the package");
        return None;
    }
    Some(fs::read_to_string(path).expect("a page is readable"))
}

/// The tables of options on a page, each as the names and the forms in its rows.
fn tables(page: &str) -> Option<Vec<Vec<(String, String)>>> {
    let text = text(page)?;
    let mut tables = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line.starts_with("| option |")) {
        let rows = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        tables.push(rows.map(row).collect());
    }
    Some(tables)
}

fn row(line: &str) -> (String, String) {
    let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
    let (name, form) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
    (name.trim_matches('`').to_owned(), form)
}

fn compare(page: &str, taken: &[Vec<&str>]) {
    let Some(tables) = tables(page) else { return };
    let documented: Vec<Vec<&str>> =
        tables.iter().map(|table| table.iter().map(|(name, _)| name.as_str()).collect()).collect();
    assert_eq!(documented, taken, "the tables of `{page}.md`, and what the macro takes");
}

#[test]
fn derives_and_attributes() {
    for (page, of_type, of_part) in [
        ("event", event::parse::OPTIONS, event::parse::FIELD),
        ("command", message::parse::COMMAND, message::parse::COMMAND_FIELD),
        ("query", message::parse::QUERY, message::parse::QUERY_FIELD),
        ("aggregate", aggregate::parse::OPTIONS, aggregate::parse::FIELD),
        ("projection", projection::parse::OPTIONS, projection::parse::METHOD),
        ("process_manager", process_manager::parse::OPTIONS, process_manager::parse::METHOD),
    ] {
        compare(page, &[of_type.names(), of_part.names()]);
    }
    // The span's name has no keyword.
    compare("traced", &[[vec!["name"], traced::parse::OPTIONS.names()].concat()]);
}

#[test]
fn what_a_snapshot_takes_is_in_its_row() {
    let Some(tables) = tables("aggregate") else { return };
    let row = tables.iter().flatten().find(|(name, _)| name == "snapshot").map(|(_, form)| form.clone());
    let form = row.expect("there is such a row");
    for word in aggregate::parse::SNAPSHOT.names() {
        assert!(form.contains(&format!("{word} =")), "`{word}` is missing in {form}");
    }
}

#[test]
fn handlers() {
    let mut of_methods = traced::parse::OPTIONS.names();
    of_methods.retain(|name| !handler::model::NOT_OF_HANDLERS.contains(name));
    for page in ["command_handler", "query_handler"] {
        compare(page, &[handler::parse::OPTIONS.names(), of_methods.clone()]);
    }
}

#[test]
fn what_is_not_of_handlers_is_refused_on_their_pages() {
    for page in ["command_handler", "query_handler"] {
        let Some(text) = text(page) else { return };
        let refused =
            text.split_once("\n- A name, ").and_then(|(_, rest)| rest.split_once(" in a handler's `#[traced]`"));
        let (refused, _) = refused.expect("there is such a line");
        let documented: Vec<&str> = refused.split('`').skip(1).step_by(2).collect();
        assert_eq!(documented, handler::model::NOT_OF_HANDLERS, "what `{page}.md` says of a handler's `#[traced]`");
    }
}
