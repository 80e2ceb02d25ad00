//! Functions of which something is said, and functions of which nothing is.

/// Seven branches.
macro_rules! branches {
    () => {
        "if a == 1 { drop(a); } if a == 2 { drop(a); } if a == 3 { drop(a); } if a == 4 { drop(a); } \
         if a == 5 { drop(a); } if a == 6 { drop(a); } if a == 7 { drop(a); } "
    };
}

/// A lint, and a function that sets it off. `@` stands where the attribute will.
pub(super) const LINTS: &[(&str, &str)] = &[
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
    ("clippy::assertions_on_constants", "@\npub fn f() { assert!(true) }"),
    ("clippy::println_empty_string", "@\npub fn f() { println!(\"\") }"),
    ("clippy::missing_panics_doc", "@\npub fn f(a: u8) -> u8 { panic!(\"{a}\") }"),
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
    ("clippy::missing_panics_doc", "@\npub fn f(a: Option<u8>) -> u8 { a.unwrap() }"),
    ("clippy::redundant_locals", "@\npub fn f(a: String) -> String { let a = a; a }"),
    ("clippy::redundant_clone", "@\npub fn f(a: Vec<u8>) -> usize { a.clone().len() }"),
    ("clippy::infinite_loop", "@\npub fn f() { loop { drop(String::new()); } }"),
    ("clippy::inline_always", "@\n#[inline(always)]\npub fn f() -> String { String::new() }"),
    (
        "clippy::suspicious_op_assign_impl",
        "pub struct A(pub u8);\nimpl std::ops::AddAssign for A {\n@\nfn add_assign(&mut self, other: A) { self.0 -= other.0; } }",
    ),
    (
        "clippy::cognitive_complexity",
        concat!("@\npub fn f(a: u8) { ", branches!(), branches!(), branches!(), branches!(), "drop(a); }"),
    ),
    ("clippy::empty_line_after_doc_comments", "@\n/// A text.\n\npub fn f() {}"),
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
pub(super) const QUIET: &[&str] = &[
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
