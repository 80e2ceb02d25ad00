//! The arguments that a body owns, in drop order.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::Signature;
use syn::ext::IdentExt as _;

use super::arguments::{Kind, names};
use crate::names::{Bound, find_in_texts, find_local};
use crate::output::is_underscored;
use crate::tokens::{is_call, is_sign, is_word};

/// The arguments that the body may own, last one first, the drop order without us; a closure drops its captures in the
/// order in which it names them. Empty if there is only one, and it is named as a whole.
pub(super) fn arguments(sig: &Signature, body: &Group) -> Vec<Bound> {
    let owned = names(sig).filter(|(_, kind)| *kind == Kind::Owned).map(|(bound, _)| bound);
    let mut unnamed = false;
    let mut owned: Vec<Bound> = owned
        .filter(|Bound { name, .. }| {
            let text = name.unraw().to_string();
            // Something else may have the same name there, which only the compiler knows.
            let is_named = find_local(body.stream(), &text).is_some() || is_in_text(body.stream(), &text);
            // The compiler should report any other name as unused.
            let is_kept = !is_named && is_underscored(name);
            unnamed |= is_kept;
            is_named || is_kept
        })
        .collect();
    if let [Bound { name, .. }] = &owned[..]
        && !unnamed
        && !is_taken_apart(body.stream(), &name.unraw().to_string(), false)
    {
        owned.clear();
    }
    owned.reverse();
    owned
}

/// Whether a macro's format string contains the name, as in `println!("{name}")`.
fn is_in_text(tokens: TokenStream, name: &str) -> bool {
    let mut is_of_macro = false;
    tokens.into_iter().any(|tree| {
        let was_of_macro = std::mem::replace(&mut is_of_macro, is_sign(&tree, '!'));
        match tree {
            TokenTree::Group(group) if was_of_macro => find_in_texts(group.stream(), name).is_some(),
            TokenTree::Group(group) => is_in_text(group.stream(), name),
            _ => false,
        }
    })
}

/// Whether the body uses a field of that name, or a pattern or another value may: a closure captures only these. A
/// macro's first token may be used this way.
fn is_taken_apart(tokens: TokenStream, name: &str, mut may_be_taken: bool) -> bool {
    let mut is_of_macro = false;
    let mut trees = tokens.into_iter();
    while let Some(tree) = trees.next() {
        let is_apart = match &tree {
            TokenTree::Ident(ident) if ident.unraw() == name => may_be_taken || is_field(trees.clone()),
            TokenTree::Group(group) => is_taken_apart(group.stream(), name, is_of_macro),
            _ => false,
        };
        if is_apart {
            return true;
        }
        is_of_macro = is_sign(&tree, '!');
        // As in `let A { b, .. } = a` and `A { b, ..a }`.
        may_be_taken = is_sign(&tree, '=') || is_sign(&tree, '.') || is_word(&tree, "match");
    }
    false
}

/// Whether a field follows, not a method, whose arguments are in parentheses.
fn is_field(mut ahead: impl Iterator<Item = TokenTree>) -> bool {
    is_sign(&ahead.next(), '.')
        && ahead.next().is_some_and(|field| !is_word(&field, "await") && !is_sign(&field, '.'))
        && !is_call(&ahead.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Function;

    fn owned_of(function: &str) -> Vec<String> {
        let function: Function = syn::parse_str(function).expect("the test's own function");
        let body = function.body.clone().expect("the test's own body");
        arguments(&function.sig, &body).iter().map(|bound| bound.name.to_string()).collect()
    }

    #[test]
    fn what_is_owned_comes_last_first() {
        let owned = owned_of("fn f(self, a: A, (b, _): (B, C), r#d: D) { b; self; a; d }");
        assert_eq!(owned, ["r#d", "b", "a", "self"]);
        assert_eq!(owned_of("fn f(&self, a: A, _b: B) { self.a; }"), ["_b"]);
    }

    #[test]
    fn a_macro_s_format_string_names_what_it_shows() {
        let shows = |body: &str| is_in_text(body.parse().expect("the test's own tokens"), "name");
        assert!(shows("println!(\"{name}\")") && shows("f(println!(\"{name}\"))"));
        assert!(!shows("f(\"{name}\")") && !shows("!a (\"{name}\")") && !shows("println!(\"name\")"));
    }

    /// A closure captures only the fields that it names.
    #[test]
    fn what_is_used_in_part_is_named_as_a_whole() {
        for body in [
            "a.b.run();",
            "drop([a.0]);",
            "let A { b, .. } = a;",
            "match a { A { b, .. } => b }",
            "a.list[0].run();",
            "&a.0[..]",
            "if a.flag {}",
            "for b in a.items {}",
            "matches!(a, A { b: Some(_), .. })",
            "A { b, ..a }",
        ] {
            assert_eq!(owned_of(&format!("fn f(a: A) {{ {body} }}")), ["a"], "{body}");
        }
        for body in ["a.run();", "a.await?", "a..0", "b(a, 1.0)", "b!(1, a)", "if a {}"] {
            assert!(owned_of(&format!("fn f(a: A) {{ {body} }}")).is_empty(), "{body}");
        }
    }

    #[test]
    fn what_has_no_order_is_not_named() {
        for function in [
            "fn f(a: A) { a }",
            "fn f(a: A, b: &B, c: u8, d: &mut D) { a; b; c; d }",
            "fn f(a: A, b: B) { a; c.b }",
            "fn f(a: A, b: B) {}",
            "fn f(a: A, b: B) -> C { C { a: A::new(), b } }",
            "fn f(&mut self, _b: &B) { self }",
        ] {
            assert!(owned_of(function).is_empty(), "{function}");
        }
        assert_eq!(owned_of("fn f(a: A, b: B) { a; 0..b }"), ["b", "a"]);
    }

    #[test]
    fn what_the_text_of_a_macro_names_is_named() {
        let named = [
            ("println!(\"{a:?}\"); b.c", &["b", "a"][..]),
            ("{ [c!(\"{}\", d!(\"{a}\"))] } b.c", &["b", "a"]),
            ("println!(\"{{a}} {c}\", c = \"a\"); b.c", &["b"]),
            ("let c = \"{a}\"; b.c", &["b"]),
        ];
        for (body, owned) in named {
            assert_eq!(owned_of(&format!("fn f(a: A, b: B) {{ {body} }}")), owned, "{body}");
        }
    }

    /// A body is not parsed, which would take longer than all the rest.
    #[test]
    fn what_has_the_name_of_an_argument_counts_as_the_argument() {
        for body in ["let a = b; a", "b.map(|a| a)", "match b { C { a, .. } => a }", "c::a(b)", "let a = b; let = a"] {
            assert_eq!(owned_of(&format!("fn f(a: A, b: B) {{ {body} }}")), ["b", "a"], "{body}");
        }
    }
}
