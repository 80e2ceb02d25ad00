//! Bodies, and what they return.

use super::cover::Choice;
use super::signature::Parts;

/// The type that is returned, or that a future or stream yields; empty where it is left out.
pub(super) fn returned(choice: &Choice) -> String {
    match choice.of("returns") {
        "number" => "u32",
        "ok" | "err" => "Result<u32, Refused>",
        "opaque" => "Result<u32, Opaque>",
        "option" => "Option<u32>",
        "impl" => "impl Debug",
        "nested_impl" => "Result<impl Debug, Refused>",
        "boxed_dyn" => "Box<dyn Debug + Send>",
        "text" => "&'static str",
        _ => "",
    }
    .to_owned()
}

/// The number as that type.
fn wrapped(choice: &Choice, number: &str) -> String {
    match choice.of("returns") {
        "number" | "impl" => number.to_owned(),
        "ok" | "nested_impl" => format!("Ok({number})"),
        "err" => format!("Err(Refused({number}))"),
        "opaque" => format!("{{ let _ = {number}; Err(Opaque) }}"),
        "option" => format!("Some({number})"),
        // Nobody tells an async block what to coerce to; a function's own end does.
        "boxed_dyn" if !choice.is("mode", &["sync", "async", "async_trait"]) => {
            format!("Box::new({number}) as Box<dyn Debug + Send>")
        }
        "boxed_dyn" => format!("Box::new({number})"),
        "text" => format!("{{ let _ = {number}; \"text\" }}"),
        _ => format!("{{ let _ = {number}; }}"),
    }
}

pub(super) fn body(choice: &Choice, parts: &Parts) -> String {
    let prelude = &parts.prelude;
    let number = number(choice);
    let value = wrapped(choice, "v");
    let inside = format!("{prelude} let v: u32 = {{ {number} }}; {value}");
    match choice.of("mode") {
        "boxed_future" | "alias_future" | "covers_future" => format!("Box::pin(async move {{ {inside} }})"),
        "impl_future" => format!("async move {{ {inside} }}"),
        "impl_stream" => {
            format!("{prelude} let v: u32 = {{ {number} }}; futures_util::stream::iter([v, v + 1]).map(|v| {value})")
        }
        "boxed_stream" | "covers_stream" => format!(
            "{prelude} let v: u32 = {{ {number} }}; \
             Box::pin(futures_util::stream::iter([v, v + 1]).then(|v| async move {{ {value} }}))"
        ),
        _ => inside,
    }
}

/// An expression for a number, from `x`.
fn number(choice: &Choice) -> String {
    let other = wrapped(choice, "0");
    match choice.of("body") {
        "early" => format!("if x == 3 {{ return {other}; }} x + 1"),
        "question" => question(choice.of("returns")).to_owned(),
        "loop" => "let mut n = 0; 'out: loop { for _ in 0..2 { n += 1; if n > x { break 'out n; } } continue; }".into(),
        "recursion" => "if x == 0 { 0 } else { item(x - 1) + 1 }".into(),
        "closure" => "let add = move |n: u32| -> u32 { if n == 0 { return 1; } n + x }; add(x)".into(),
        "items" => {
            "use std::mem; const K: u32 = 1; static S: u32 = 2; struct Local; impl Local { fn own(n: u32) -> u32 { n + K + S } } \
             let _ = mem::size_of::<Local>(); Local::own(x)"
        }
        .into(),
        "shadows" => {
            "let span = x; let __es_span = span; let result = __es_span; let attributes = result; let slot = attributes; slot + 1".into()
        }
        "let_else" => format!("let Some(n) = x.checked_sub(1) else {{ return {other} }}; n"),
        "guard" => "match x { 0 => 0, n if n % 2 == 0 => n / 2, n @ 1..=9 => n, _ => 10 }".into(),
        "await" => "tokio::task::yield_now().await; std::future::ready(x).await + async { 1 }.await".into(),
        "macro" => "assert!(matches!(x, 0..=99), \"{x}\"); vec![x; 2].iter().sum()".into(),
        "raw_deref" => "*(&raw const x)".into(),
        _ => "x + 1".into(),
    }
}

fn question(returns: &str) -> &'static str {
    match returns {
        "option" => "Some(x)? + 1",
        "ok" | "err" | "nested_impl" => "Ok::<u32, Refused>(x)? + 1",
        "opaque" => "Ok::<u32, Opaque>(x)? + 1",
        _ => "(|| Some(Some(x)? + 1))().unwrap_or_default()",
    }
}
