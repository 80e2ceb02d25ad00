//! What the compiler and clippy say of a user's code, they say of it under our macros as well, in the same place; and
//! they say nothing more. Twins of each function are compiled, one with `#[traced]`, and what is said of them compared.

mod functions;
mod known;
mod mistakes;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use eventsource_tests::compiler;
use functions::{LINTS, QUIET};
use known::{ADDED, LOST, LOST_IN_ASYNC, MOVED};
use mistakes::MISTAKES;

/// What was said: of which function, with which code, or else which words, where in it, and how often before.
type Said = BTreeSet<(usize, String, Place, usize)>;
/// Line and column within the function, from where to where.
type Place = (i64, i64, i64, i64);

/// The functions, each twice: plain at even numbers, traced at odd ones. With the line on which each begins.
fn source(functions: &[&str]) -> (String, Vec<i64>) {
    let lints: BTreeSet<&str> = LINTS.iter().map(|(lint, _)| *lint).collect();
    let lints = lints.into_iter().collect::<Vec<_>>().join(", ");
    let mut source = format!("#![warn(clippy::pedantic, clippy::nursery, {lints})]\n");
    let mut begins = Vec::new();
    for (number, function) in functions.iter().enumerate() {
        for (twin, attribute) in [("plain", ""), ("traced", "#[eventsource_runtime::traced]")] {
            let _ = writeln!(source, "pub mod {twin}_{number} {{");
            begins.push(i64::try_from(source.lines().count()).expect("a source has not that many lines"));
            let _ = writeln!(source, "{}\n}}", function.replace('@', attribute));
        }
    }
    (source, begins)
}

/// What clippy's compiler says of a source, as JSON; nothing without one.
fn compile(name: &str, source: &str) -> Option<String> {
    compiler::said("clippy-driver", Path::new(env!("CARGO_TARGET_TMPDIR")), name, source)
}

fn said(levels: &[&str], json: &str, begins: &[i64]) -> [Said; 2] {
    let mut twins = [Said::new(), Said::new()];
    for line in json.lines().filter(|line| line.starts_with('{')) {
        let message: serde_json::Value = serde_json::from_str(line).expect("the compiler writes JSON");
        if !message["level"].as_str().is_some_and(|level| levels.contains(&level)) {
            continue;
        }
        // Errors of lifetimes have no code.
        let Some(code) = message["code"]["code"].as_str().or_else(|| message["message"].as_str()) else { continue };
        let spans = message["spans"].as_array().into_iter().flatten().filter(|span| span["is_primary"] == true);
        for span in spans {
            let number = |key: &str| span[key].as_i64().unwrap_or(0);
            let item = begins.partition_point(|begin| *begin < number("line_start")).saturating_sub(1);
            let begin = begins[item];
            let place = (
                number("line_start") - begin,
                number("column_start"),
                number("line_end") - begin,
                number("column_end"),
            );
            let twin = &mut twins[item % 2];
            let mut said = (item / 2, code.to_owned(), place, 0);
            while twin.contains(&said) {
                said.3 += 1;
            }
            twin.insert(said);
        }
    }
    twins
}

/// What is said of one twin alone: lost or added, the lint, the function, and where in it.
type Difference<'a> = (&'static str, &'a str, &'a str, Place);

fn differences<'a>(functions: &[&'a str], [plain, traced]: &'a [Said; 2]) -> Vec<Difference<'a>> {
    let told = |twin, (number, code, place, _): &'a (usize, String, Place, usize)| {
        (twin, code.as_str(), functions[*number], *place)
    };
    let lost = plain.difference(traced).map(|said| told("lost", said));
    lost.chain(traced.difference(plain).map(|said| told("added", said))).collect()
}

/// The functions; and with one more argument and as `async fn`, which have other expansions, those that can be so.
fn variants() -> Vec<String> {
    let functions: Vec<String> = LINTS.iter().map(|(_, function)| (*function).to_owned()).collect();
    let owning = functions.iter().filter_map(|function| owning(function)).collect();
    let all = [functions, owning].concat();
    let asynchronous = all.iter().filter_map(|function| asynchronous(function)).collect();
    [all, asynchronous].concat()
}

fn owning(function: &str) -> Option<String> {
    let may_be_so = is_free(function) && !function.contains("self");
    may_be_so.then(|| function.replace("fn f(", "fn f(_own: String, ").replace(", )", ")"))
}

fn asynchronous(function: &str) -> Option<String> {
    let may_be_so = is_free(function) && !function.contains("impl Future");
    (may_be_so && function.contains("pub fn f(")).then(|| function.replace("pub fn f(", "pub async fn f("))
}

/// Whether it is called `f`, as no trait requires, and nobody calls it.
fn is_free(function: &str) -> bool {
    let is_begun = |at: usize| function[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
    let named = function.match_indices("f(").filter(|(at, _)| !is_begun(*at));
    named.count() == 1 && function.contains("fn f(")
}

/// Whether a lint is known to see something else.
fn is_known(&(twin, lint, function, _): &Difference<'_>) -> bool {
    let is_in = |known: &[(&str, &str)]| known.iter().any(|(known, _)| *known == lint);
    if twin == "added" {
        return MOVED.iter().any(|(_, moved)| *moved == lint);
    }
    is_in(LOST) || is_in(MOVED) || is_in(LOST_IN_ASYNC) && function.contains("async fn f(")
}

#[test]
fn lints_see_what_they_see_without_us() {
    let variants = variants();
    let functions: Vec<&str> = variants.iter().map(String::as_str).collect();
    assert!(functions.len() >= 250, "only {} functions", functions.len());
    let (source, begins) = source(&functions);
    let Some(json) = compile("lints", &source) else {
        println!("skipped: clippy-driver is not installed");
        return;
    };
    let twins = said(&["warning", "error"], &json, &begins);
    for (number, (lint, function)) in LINTS.iter().enumerate() {
        assert!(
            twins[0].iter().any(|(at, code, ..)| *at == number && code == lint),
            "`{lint}` is not set off by {function:?}"
        );
    }
    let differences = differences(&functions, &twins);
    let faults: Vec<_> = differences.iter().filter(|difference| !is_known(difference)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    for (known, _) in [LOST, LOST_IN_ASYNC, MOVED].concat() {
        let is_lost = differences.iter().any(|(twin, lint, ..)| *twin == "lost" && *lint == known);
        assert!(is_lost, "`{known}` is seen");
    }
    let lints: BTreeSet<&str> = LINTS.iter().map(|(lint, _)| *lint).collect();
    assert!(lints.len() >= 40, "only {} lints", lints.len());
}

/// What a crate that asks for all lints has to know.
#[test]
fn lost_lints_are_documented() {
    let names = |lints: &[(&'static str, &str)]| lints.iter().map(|(lint, _)| *lint).collect::<BTreeSet<_>>();
    assert_eq!(told("Some lints do not see"), names(LOST));
    assert_eq!(told("Some lints do not see in an `async fn`"), names(LOST_IN_ASYNC));
    let moved = MOVED.iter().flat_map(|(lint, moved)| [*lint, *moved]).collect();
    assert_eq!(told("Some lints report elsewhere"), moved);
}

/// The lints in the guide's paragraph that begins with these words.
fn told(words: &str) -> BTreeSet<&'static str> {
    let guide = include_str!("../../eventsource-macros/docs/traced.md");
    let begin = guide.find(words).expect("the guide tells of them");
    let paragraph = guide[begin..].split("\n\n").next().unwrap_or_default();
    let is_lint = |word: &&str| word.starts_with("clippy::") || *word == "unconditional_recursion";
    paragraph.split('`').skip(1).step_by(2).filter(is_lint).collect()
}

#[test]
fn added_lints_are_documented() {
    let lints: Vec<&str> = ADDED.iter().map(|(lint, _)| *lint).collect();
    assert_eq!(told("Some lints report more"), lints.iter().copied().collect());
    let (source, begins) = source(&ADDED.iter().map(|(_, function)| *function).collect::<Vec<_>>());
    let source =
        format!("#![warn({})]\n{}", lints.join(", "), source.split_once('\n').expect("its lints come first").1);
    let Some(json) = compile("added", &source) else {
        println!("skipped: clippy-driver is not installed");
        return;
    };
    let [plain, traced] = said(&["warning", "error"], &json, &begins);
    for (number, (lint, function)) in ADDED.iter().enumerate() {
        let sets_off = |twin: &Said| twin.iter().any(|(at, code, ..)| *at == number && code == lint);
        assert!(!sets_off(&plain) && sets_off(&traced), "`{lint}` and {function:?}");
    }
}

#[test]
fn nothing_is_said_of_what_they_leave_alone() {
    let (source, begins) = source(QUIET);
    // What they say of every function, in a crate that asks for all.
    let source = source.replace("clippy::pedantic, clippy::nursery, ", "");
    let Some(json) = compile("quiet", &source) else {
        println!("skipped: clippy-driver is not installed");
        return;
    };
    let [plain, traced] = said(&["warning", "error"], &json, &begins);
    assert!(plain.is_empty(), "{plain:?}");
    assert!(traced.is_empty(), "{traced:?}");
}

#[test]
fn errors_are_where_they_are_without_us() {
    for (phase, functions) in MISTAKES.iter().enumerate() {
        let (source, begins) = source(functions);
        let Some(json) = compile(&format!("mistakes_{phase}"), &source) else {
            println!("skipped: clippy-driver is not installed");
            return;
        };
        let twins = said(&["error"], &json, &begins);
        for number in 0..functions.len() {
            assert!(twins[0].iter().any(|(at, ..)| *at == number), "no error in {:?}", functions[number]);
        }
        let faults = differences(functions, &twins);
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
