//! What the compiler and clippy say of a user's code, they say of it under our macros as well, in the same place; and
//! they say nothing more. Twins of each function are compiled, one with `#[traced]`, and what is said of them compared.

mod mistakes;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use eventsource_tests::compiler;
use mistakes::MISTAKES;

/// A lint, and a function that sets it off. `@` stands where the attribute will.
const LINTS: &[(&str, &str)] = &[
    ("unused_variables", "@\npub fn f() { let a = 1; }"),
    ("unused_variables", "@\npub fn f(a: u8) {}"),
    ("unused_variables", "@\npub async fn f(a: u8) { let b = 1; }"),
    ("unused_variables", "pub struct A { pub a: Vec<u8> }\n@\npub fn f(a: Vec<u8>, b: Vec<u8>) -> A { A { a: b } }"),
    (
        "unused_variables",
        "pub struct A { pub a: Vec<u8> }\n@\npub async fn f(a: Vec<u8>, b: Vec<u8>) -> A { A { a: b } }",
    ),
    ("unused_variables", "@\npub fn f(a: String, b: String) -> usize { let a = b.len() + 1; a * 2 }"),
    ("unused_mut", "@\npub fn f() -> u8 { let mut a = 1; a }"),
    ("unused_mut", "@\npub fn f(mut a: u8) -> u8 { a }"),
    ("unused_assignments", "@\npub fn f() -> u8 { let mut a = 1; let b = a; a = 2; b }"),
    ("unreachable_code", "@\npub fn f() -> u8 { return 1; 2 }"),
    ("unused_must_use", "@\npub fn f() { Ok::<u8, u8>(1); }"),
    ("unused_must_use", "@\npub async fn f() { std::future::ready(1); }"),
    ("unused_parens", "@\npub fn f(a: bool) -> u8 { if (a) { 1 } else { 2 } }"),
    ("unused_imports", "@\npub fn f() { use std::mem; }"),
    ("unused_labels", "@\npub fn f() { 'a: for _ in 0..2 {} }"),
    ("while_true", "@\npub fn f() { while true { break; } }"),
    ("path_statements", "@\npub fn f(a: u8) { a; }"),
    ("unused_unsafe", "@\npub fn f() { unsafe {} }"),
    ("unused_comparisons", "@\npub fn f(a: u8) -> bool { a >= 0 }"),
    ("non_snake_case", "@\npub fn f() -> u8 { let Ab = 1; Ab }"),
    ("non_snake_case", "@\npub fn Fn1() {}"),
    ("unused_braces", "@\npub fn f(a: u8) -> u8 { std::convert::identity({ a }) }"),
    ("dropping_references", "@\npub fn f(a: &u8) { drop(a); }"),
    ("for_loops_over_fallibles", "@\npub fn f(a: Option<u8>) { for _ in a {} }"),
    ("deprecated", "#[deprecated] pub fn old() {}\n@\npub fn f() { old(); }"),
    ("clippy::let_and_return", "@\npub fn f() -> u8 { let a = 1; a }"),
    ("clippy::unwrap_used", "@\npub fn f(a: Option<u8>) -> u8 { a.unwrap() }"),
    ("clippy::unwrap_used", "@\npub async fn f(a: Option<u8>) -> u8 { a.unwrap() }"),
    ("clippy::expect_used", "@\npub fn f(a: Option<u8>) -> u8 { a.expect(\"b\") }"),
    ("clippy::mem_forget", "@\npub fn f(a: String) { std::mem::forget(a); }"),
    ("clippy::todo", "@\npub fn f() -> u8 { todo!() }"),
    ("clippy::print_stdout", "@\npub fn f() { println!(\"a\"); }"),
    ("clippy::dbg_macro", "@\npub fn f(a: u8) -> u8 { dbg!(a) }"),
    ("clippy::indexing_slicing", "@\npub fn f(a: &[u8]) -> u8 { a[0] }"),
    ("clippy::clone_on_copy", "@\npub fn f(a: u8) -> u8 { a.clone() }"),
    ("clippy::len_zero", "@\npub fn f(a: &[u8]) -> bool { a.len() == 0 }"),
    (
        "clippy::needless_range_loop",
        "@\npub fn f(a: &[u8]) -> u8 { let mut b = 0; for i in 0..a.len() { b += a[i]; } b }",
    ),
    (
        "clippy::single_match",
        "@\npub fn f(a: Option<u8>) { match a { Some(b) => drop(format!(\"{b}\")), None => () } }",
    ),
    ("clippy::redundant_closure", "@\npub fn f(a: Option<&str>) -> Option<String> { a.map(|b| String::from(b)) }"),
    ("clippy::useless_format", "@\npub fn f() -> String { format!(\"a\") }"),
    ("clippy::bool_comparison", "@\npub fn f(a: bool) -> u8 { if a == true { 1 } else { 2 } }"),
    ("clippy::identity_op", "@\npub fn f(a: u8) -> u8 { a + 0 }"),
    ("clippy::needless_borrow", "@\npub fn f(a: &str) -> usize { (&a).len() }"),
    ("clippy::match_bool", "@\npub fn f(a: bool) -> u8 { match a { true => 1, false => 2 } }"),
    ("clippy::cast_lossless", "@\npub fn f(a: u8) -> u64 { a as u64 }"),
    ("clippy::cast_possible_truncation", "@\npub async fn f(a: u64) -> u8 { a as u8 }"),
    ("clippy::uninlined_format_args", "@\npub fn f(a: u8) -> String { format!(\"{}\", a) }"),
    ("clippy::explicit_iter_loop", "@\npub fn f(a: &[u8]) { for b in a.iter() { drop(format!(\"{b}\")); } }"),
    ("clippy::collapsible_if", "@\npub fn f(a: bool, b: bool) { if a { if b { drop(String::new()); } } }"),
    ("clippy::assign_op_pattern", "@\npub fn f(mut a: u8) -> u8 { a = a + 1; a }"),
    ("clippy::needless_bool", "@\npub fn f(a: u8) -> bool { if a > 1 { true } else { false } }"),
    ("clippy::question_mark", "@\npub fn f(a: Option<u8>) -> Option<u8> { if a.is_none() { return None; } a }"),
    ("clippy::unnecessary_cast", "@\npub fn f(a: u8) -> u8 { a as u8 }"),
    ("clippy::map_unwrap_or", "@\npub fn f(a: Option<u8>) -> u8 { a.map(|b| b + 1).unwrap_or(0) }"),
    ("clippy::shadow_unrelated", "@\npub fn f(a: u8) -> String { let b = a; let b = String::from(\"c\"); b }"),
    ("clippy::ptr_arg", "@\npub fn f(a: &Vec<u8>) -> usize { a.len() }"),
    ("clippy::too_many_arguments", "@\npub fn f(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8) {}"),
    ("clippy::fn_params_excessive_bools", "@\npub fn f(_: bool, _: bool, _: bool, _: bool) {}"),
    ("clippy::missing_errors_doc", "@\npub fn f() -> Result<(), u8> { Ok(()) }"),
    ("clippy::must_use_candidate", "@\npub fn f(a: u8) -> u8 { a }"),
    ("clippy::must_use_candidate", "pub struct A(u8);\nimpl A {\n@\npub fn f(&self) -> u8 { self.0 } }"),
    (
        "clippy::must_use_candidate",
        "pub struct A(String);\nimpl A {\n@\npub fn f(&self, a: String) -> String { a + &self.0 } }",
    ),
    (
        "clippy::await_holding_lock",
        "@\npub async fn f(a: &std::sync::Mutex<u8>) { let Ok(b) = a.lock() else { return }; std::future::ready(1).await; drop(b); }",
    ),
    (
        "clippy::async_yields_async",
        "pub struct A;\n@\npub async fn f() -> A { let b = async { std::future::ready(A) }; b.await.await }",
    ),
    ("unconditional_recursion", "@\npub fn f(a: u8) -> u8 { f(a) }"),
    ("clippy::needless_pass_by_value", "@\npub fn f(a: String) -> usize { a.len() }"),
    (
        "clippy::needless_pass_by_ref_mut",
        "@\nfn f(a: &mut Vec<u8>) -> usize { a.len() }\npub fn g() -> usize { f(&mut vec![1]) }",
    ),
    ("clippy::unnecessary_wraps", "@\nfn f(a: u8) -> Option<u8> { Some(a) }\npub fn g() -> Option<u8> { f(1) }"),
    ("clippy::needless_lifetimes", "@\npub fn f<'a>(a: &'a str) -> &'a str { a }"),
    (
        "clippy::misnamed_getters",
        "pub struct A { pub a: u8, pub b: u8 }\nimpl A {\n@\npub fn a(&self) -> &u8 { &self.b } }",
    ),
    (
        "clippy::unconditional_recursion",
        "pub struct A;\nimpl PartialEq for A {\n@\nfn eq(&self, other: &Self) -> bool { self == other } }",
    ),
    ("clippy::manual_async_fn", "@\npub fn f() -> impl Future<Output = u8> { async { 1 } }"),
    ("clippy::elidable_lifetime_names", "pub struct A<'a>(pub &'a str);\n@\npub fn f<'a>(a: A<'a>) -> &'a str { a.0 }"),
    ("clippy::assigning_clones", "@\npub fn f(mut a: String, b: &String) -> String { a.clear(); a = b.clone(); a }"),
    ("clippy::boxed_local", "@\nfn f(a: Box<u8>) -> u8 { *a + 1 }\npub fn g() -> u8 { f(Box::new(1)) }"),
    (
        "clippy::suspicious_arithmetic_impl",
        "pub struct A(pub u8);\nimpl std::ops::Add for A {\ntype Output = A;\n@\nfn add(self, other: A) -> A { A(self.0 - other.0) } }",
    ),
    ("clippy::unnecessary_literal_bound", "pub struct A;\nimpl A {\n@\npub fn f(&self) -> &str { \"a\" } }"),
    (
        "clippy::fallible_impl_from",
        "pub struct A(pub u8);\nimpl From<Option<u8>> for A {\n@\nfn from(a: Option<u8>) -> A { A(a.unwrap()) } }",
    ),
    (
        "clippy::single_option_map",
        "@\nfn f(a: Option<u8>) -> Option<u8> { a.map(|b| b + 1) }\npub fn g() -> Option<u8> { f(None) }",
    ),
    ("clippy::unwrap_in_result", "@\npub fn f(a: Result<u8, u8>) -> Result<u8, u8> { let b = a.unwrap(); Ok(b) }"),
    ("clippy::explicit_auto_deref", "@\npub fn f(a: &String) -> &str { &**a }"),
    ("clippy::derivable_impls", "pub struct A(u8);\nimpl Default for A {\n@\nfn default() -> Self { Self(0) } }"),
    ("clippy::empty_drop", "pub struct A;\nimpl Drop for A {\n@\nfn drop(&mut self) {} }"),
    ("clippy::doc_paragraphs_missing_punctuation", "@\n/// A text\npub fn f() {}"),
    ("clippy::large_stack_arrays", "@\npub fn f() -> u8 { let a = [1_u8; 600_000]; a.first().copied().unwrap_or(1) }"),
];

/// A trait's method, and a type that has it.
macro_rules! of_a_trait {
    ($type:literal, $this:literal, $returned:expr, $body:literal) => {
        concat!(
            "#[allow(clippy::all, clippy::pedantic)]\npub trait A { fn f(",
            $this,
            ") -> ",
            $returned,
            "; }\n",
            "impl A for ",
            $type,
            " {\n@\nfn f(",
            $this,
            ") -> ",
            $returned,
            " { ",
            $body,
            " }\n}"
        )
    };
}
/// A type of which clippy says that it is complex.
macro_rules! complex {
    () => {
        "Vec<Option<Box<dyn Fn(Vec<u8>, Option<Vec<u8>>) -> Result<Vec<u8>, Box<dyn Fn(Vec<u8>) -> Option<u8>>>>>>"
    };
}

/// Functions of which nothing is said, and nothing under our macros.
const QUIET: &[&str] = &[
    "@\npub async fn f() -> impl Future<Output = u8> { std::future::ready(1) }",
    "@\npub async fn f() -> impl Future<Output = u8> { async move { 1 } }",
    "@\npub async fn f(a: String, b: String) -> impl Future<Output = usize> { let c = a + &b; async move { c.len() } }",
    "@\npub async fn f() -> std::pin::Pin<Box<dyn Future<Output = u8>>> { Box::pin(async move { 1 }) }",
    // Futures by any name.
    "@\npub async fn f() -> std::future::Ready<u8> { std::future::ready(1) }",
    "@\npub async fn f() -> impl Send { std::future::ready(1) }",
    "@\npub async fn f<T: Future>(a: T, b: String) -> T { drop(b); a }",
    "@\npub async fn f<T: Future + Unpin>(a: &mut T) -> &mut T { a }",
    "@\npub async fn f() -> Box<dyn Future<Output = u8> + Unpin> { let a = std::future::ready(1); Box::new(a) }",
    // What a trait asks for is asked of nobody else.
    of_a_trait!("u8", "&self", complex!(), "Vec::new()"),
    of_a_trait!("String", "self", complex!(), "drop(self); Vec::new()"),
    of_a_trait!("Box<u8>", "&self", "&Box<u8>", "self"),
];

/// Lints that a traced function cannot set off, or not alike, and why.
const LOST: &[(&str, &str)] = &[
    ("clippy::missing_const_for_fn", "a function that makes a span cannot be `const`"),
    ("clippy::unused_async", "it awaits its body"),
    ("clippy::large_stack_frames", "the frame is that of the closure"),
    ("clippy::async_yields_async", "the body may return a future, which to clippy is a block's"),
    ("unconditional_recursion", "the call is the closure's, which the compiler does not look into"),
    ("clippy::needless_pass_by_value", "the closure owns what the body borrows"),
    ("clippy::needless_pass_by_ref_mut", "the closure takes it as it is"),
    ("clippy::unnecessary_wraps", "what is returned is what the closure returns"),
    ("clippy::misnamed_getters", "the body is not the field's name alone"),
    ("clippy::unconditional_recursion", "the call is the closure's"),
    ("clippy::manual_async_fn", "what is returned is the future that covers it"),
    ("clippy::elidable_lifetime_names", "as of `needless_lifetimes`"),
    ("clippy::assigning_clones", "to the closure the argument is new"),
    ("clippy::boxed_local", "the closure owns what the body borrows"),
    ("clippy::suspicious_arithmetic_impl", "the body is no longer the operator's"),
    ("clippy::unnecessary_literal_bound", "the literal is what the closure returns"),
    ("clippy::fallible_impl_from", "the panic is the closure's"),
    ("clippy::single_option_map", "the body is the closure's"),
    ("clippy::unwrap_in_result", "the panic is the closure's"),
    ("clippy::explicit_auto_deref", "the closure returns it as it is"),
    ("clippy::derivable_impls", "the body is not the default's alone"),
    ("clippy::empty_drop", "the body is not empty"),
    ("clippy::doc_paragraphs_missing_punctuation", "the comment is an expansion's"),
    ("clippy::cognitive_complexity", "what is in the closure is not counted"),
    ("clippy::needless_lifetimes", "the closure names the type; without its lifetimes, errors of them would be ours"),
];

/// Lints that a traced function sets off, and the same function does not without the attribute.
const ADDED: &[(&str, &str)] = &[
    ("clippy::implicit_return", "@\npub fn f(a: u8) -> u8 { return a; }"),
    (
        "clippy::must_use_candidate",
        "static A: std::sync::Mutex<u8> = std::sync::Mutex::new(1);\n@\npub fn f(a: u8) -> bool { if let Ok(mut b) = A.lock() { *b = a; } true }",
    ),
    ("clippy::default_numeric_fallback", "@\npub fn f() -> Box<[f64]> { Box::new([1.0, 2.0]) }"),
];

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

/// What is said of one twin alone, one fault a line.
fn differences(functions: &[&str], [plain, traced]: &[Said; 2]) -> Vec<String> {
    let told = |what: &str, (number, code, place, _): &(usize, String, Place, usize)| {
        format!("{what} `{code}` at {place:?} of {:?}", functions[*number])
    };
    let lost = plain.difference(traced).map(|said| told("lost", said));
    lost.chain(traced.difference(plain).map(|said| told("added", said))).collect()
}

#[test]
fn lints_see_what_they_see_without_us() {
    let functions: Vec<&str> = LINTS.iter().map(|(_, function)| *function).collect();
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
    let known = |fault: &String| LOST.iter().any(|(lint, _)| fault.contains(&format!("`{lint}`")));
    let faults: Vec<_> = differences(&functions, &twins).into_iter().filter(|fault| !known(fault)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let lints: BTreeSet<&str> = LINTS.iter().map(|(lint, _)| *lint).collect();
    assert!(lints.len() >= 40, "only {} lints", lints.len());
}

/// What a crate that asks for all lints has to know.
#[test]
fn lost_lints_are_documented() {
    assert_eq!(told("Some lints do not see"), LOST.iter().map(|(lint, _)| *lint).collect());
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
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
