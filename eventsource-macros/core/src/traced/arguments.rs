//! A traced function's arguments, as the closure or the future has them that the body becomes.

use std::cell::LazyCell;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Block, FnArg, Ident, ReceiverKind, Signature, Type, TypeReference};

use super::attributes::Entry;
use super::covers::Covers;
use crate::diagnostics::Diagnostics;
use crate::names::{Bound, bound_under, find_local};
use crate::output::is_underscored;
use crate::seen::{is_seen_in, seen};
use crate::sensitive::{is_plain, is_type};
use crate::signature::{cfgs, ungrouped};

/// The entries of `record(..)` without those that name what the body of an `async fn` has to itself, or any argument
/// where the span covers a future that is returned.
pub(super) fn keep_seen(
    diagnostics: &mut Diagnostics,
    sig: &Signature,
    covers: Covers,
    mut record: Vec<Entry>,
) -> Vec<Entry> {
    let is_covered = covers == Covers::Future;
    if sig.asyncness.is_some() || is_covered {
        let hidden = names(sig).filter(|(_, kind)| is_covered || *kind == Kind::Lent);
        let hidden = arguments(hidden.map(|(bound, _)| bound));
        record.retain(|entry| {
            let named = entry.value.expr().and_then(|expr| seen(expr, &hidden));
            if let Some(named) = &named {
                let fault = if is_covered {
                    format!("`record` of a returned future sees `result` alone, and not `{named}`")
                } else {
                    format!("the body of an `async fn` has `{named}` to itself")
                };
                let message = format!("{fault}; write `current_span().record(key, value)` in it");
                diagnostics.error(named, message);
            }
            named.is_none()
        });
    }
    record
}

/// Whether the expressions of `record(..)` name an argument, or `self`.
pub(super) fn are_recorded(sig: &Signature, record: &[Entry]) -> bool {
    let names = arguments(names(sig).map(|(bound, _)| bound));
    record.iter().filter_map(|entry| entry.value.expr()).any(|expr| seen(expr, &names).is_some())
}

/// Whether some may have something to drop.
pub(super) fn are_owned(sig: &Signature) -> bool {
    names(sig).any(|(_, kind)| kind == Kind::Owned)
}

/// Whether a closure that takes the arguments leaves them where they are, by what their types are called and how they
/// are bound.
pub(super) fn are_copied(sig: &Signature) -> bool {
    let by_value = sig.inputs.iter().all(|input| match input {
        FnArg::Receiver(receiver) => matches!(receiver.kind, ReceiverKind::Reference(.., None)),
        FnArg::Typed(argument) => match ungrouped(&argument.ty) {
            Type::Reference(reference) => reference.mutability.is_none(),
            Type::Ptr(_) => true,
            // Of the plain ones the only one by value that owns anything.
            ty => is_plain(ty) && !is_type(ty, "String"),
        },
    });
    by_value && names(sig).all(|(_, kind)| kind != Kind::Lent)
}

/// What the body may own, the last argument first, as it is dropped without us; what a closure catches it drops in the
/// order in which it names it. Nothing where there is but one, and it is named as a whole.
pub(super) fn owned(sig: &Signature, body: &Group) -> Vec<Bound> {
    let owned = names(sig).filter(|(_, kind)| *kind == Kind::Owned).map(|(bound, _)| bound);
    let block = LazyCell::new(|| syn::parse2::<Block>(body.to_token_stream()).ok());
    let mut unnamed = false;
    let mut owned: Vec<Bound> = owned
        .filter(|Bound { name, .. }| {
            let text = name.unraw().to_string();
            // Another may have its name there, which a body that is being written does not tell. To parse one takes
            // longer than all the rest.
            let is_another = || {
                is_bound_again(body.stream(), &text, false)
                    && block.as_ref().is_some_and(|block| !is_seen_in(block, name))
            };
            let is_named = find_local(body.stream(), &text).is_some() && !is_another();
            // Any other name is one that the compiler should call unused.
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

/// Whether something else may have that name: it stands where a pattern begins, or in a path.
fn is_bound_again(tokens: TokenStream, name: &str, mut begins: bool) -> bool {
    for tree in tokens {
        let is_bound = match &tree {
            TokenTree::Ident(ident) if ident.unraw() == name => begins,
            TokenTree::Group(group) => is_bound_again(group.stream(), name, begins),
            _ => false,
        };
        if is_bound {
            return true;
        }
        begins =
            ["let", "mut", "for"].iter().any(|word| is_word(&tree, word)) || is_sign(&tree, '|') || is_sign(&tree, ':');
    }
    false
}

/// Whether a field of what has that name is named, or a pattern or another value may take some: a closure catches these
/// alone. What stands first may be taken so where it is a macro's.
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

/// Whether a field comes, and no method: of these the arguments stand in parentheses.
fn is_field(mut ahead: impl Iterator<Item = TokenTree>) -> bool {
    let is_call = |tree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis);
    ahead.next().is_some_and(|dot| is_sign(&dot, '.'))
        && ahead.next().is_some_and(|field| !is_word(&field, "await") && !is_sign(&field, '.'))
        && !ahead.next().is_some_and(is_call)
}

fn is_sign(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(it) if it.as_char() == sign)
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(it) if it == word)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Behind `&mut`, or bound by `ref mut`.
    Lent,
    /// By value, of a type that may have something to drop.
    Owned,
    Other,
}

fn names(sig: &Signature) -> impl Iterator<Item = (Bound, Kind)> {
    sig.inputs.iter().flat_map(|input| match input {
        FnArg::Receiver(receiver) => {
            let kind = match &receiver.kind {
                ReceiverKind::Reference(.., Some(_)) => Kind::Lent,
                ReceiverKind::Reference(.., None) => Kind::Other,
                ReceiverKind::Typed(_, ty) => kind(ty),
                _ => Kind::Owned,
            };
            vec![(Bound { cfgs: cfgs(&receiver.attrs), name: receiver.self_token.into(), is_lent: false }, kind)]
        }
        FnArg::Typed(argument) => {
            let kind = kind(&argument.ty);
            let bound = bound_under(cfgs(&argument.attrs), &argument.pat).into_iter();
            bound.map(|bound| if bound.is_lent { (bound, Kind::Lent) } else { (bound, kind) }).collect()
        }
    })
}

fn kind(ty: &Type) -> Kind {
    match ungrouped(ty) {
        Type::Reference(TypeReference { mutability: Some(_), .. }) => Kind::Lent,
        Type::Reference(_) | Type::Ptr(_) => Kind::Other,
        ty if is_plain(ty) => Kind::Other,
        _ => Kind::Owned,
    }
}

/// The names by which expressions of `record(..)` see arguments; `result` is what was returned.
fn arguments(bound: impl Iterator<Item = Bound>) -> Vec<Ident> {
    bound.map(|bound| bound.name).filter(|name| name.unraw() != "result").collect()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::signature::Function;

    fn owned_of(function: TokenStream) -> Vec<String> {
        let function: Function = syn::parse2(function).expect("the test's own function");
        let body = function.body.clone().expect("the test's own body");
        owned(&function.sig, &body).iter().map(|bound| bound.name.to_string()).collect()
    }

    #[test]
    fn what_is_owned_comes_last_first() {
        assert_eq!(
            owned_of(quote!(
                fn f(self, a: A, (b, _): (B, C), r#d: D) {
                    b;
                    self;
                    a;
                    d
                }
            )),
            ["r#d", "b", "a", "self"]
        );
        assert_eq!(
            owned_of(quote!(
                fn f(&self, a: A, _b: B) {
                    self.a;
                }
            ))[..],
            ["_b"]
        );
    }

    /// A closure catches the fields alone that it names.
    #[test]
    fn what_is_used_in_part_is_named_as_a_whole() {
        let bodies = [
            quote!({
                a.b.run();
            }),
            quote!({
                drop([a.0]);
            }),
            quote!({
                let A { b, .. } = a;
            }),
            quote!({
                match a {
                    A { b, .. } => b,
                }
            }),
            quote!({
                a.list[0].run();
            }),
            quote!({ &a.0[..] }),
            quote!({ if a.flag {} }),
            quote!({ for b in a.items {} }),
            quote!({ matches!(a, A { b: Some(_), .. }) }),
            quote!({ A { b, ..a } }),
        ];
        for body in bodies {
            assert_eq!(owned_of(quote!(fn f(a: A) #body)), ["a"], "{body}");
        }
        for body in [
            quote!({
                a.run();
            }),
            quote!({ a.await? }),
            quote!({ a..0 }),
            quote!({ b(a, 1.0) }),
            quote!({ b!(1, a) }),
            quote!({ if a {} }),
        ] {
            assert!(owned_of(quote!(fn f(a: A) #body)).is_empty(), "{body}");
        }
    }

    #[test]
    fn what_has_no_order_is_not_named() {
        let nothing = [
            quote!(
                fn f(a: A) {
                    a
                }
            ),
            quote!(
                fn f(a: A, b: &B, c: u8, d: &mut D) {
                    a;
                    b;
                    c;
                    d
                }
            ),
            quote!(
                fn f(a: A, b: B) {
                    a;
                    c.b
                }
            ),
            quote!(
                fn f(a: A, b: B) {}
            ),
            quote!(
                fn f(a: A, b: B) {
                    let (a, c) = d;
                    b.map(|b| a + b)
                }
            ),
            quote!(
                fn f(a: A, b: B) -> C {
                    C { a: A::new(), b }
                }
            ),
            quote!(
                fn f(&mut self, _b: &B) {
                    self
                }
            ),
        ];
        for function in nothing {
            assert!(owned_of(function.clone()).is_empty(), "{function}");
        }
        assert_eq!(
            owned_of(quote!(
                fn f(a: A, b: B) {
                    a;
                    0..b
                }
            )),
            ["b", "a"]
        );
        assert_eq!(
            owned_of(quote!(
                fn f(a: A, b: B) {
                    let a = b;
                    let = a
                }
            )),
            ["b", "a"],
            "half a body"
        );
    }

    #[test]
    fn another_of_the_same_name_is_told_from_the_argument() {
        let named = [
            // Behind what has its name there it is named as well.
            ("a; let a = b; a", &["b", "a"][..]),
            ("b.map(|c| c + a)", &["b", "a"]),
            ("b.map(|a| a); a", &["b", "a"]),
            ("let a = b; a", &["b"]),
            ("let mut a = b; a.run()", &["b"]),
            ("for a in b { a; } b.c", &["b"]),
            ("b.map(|a| a).c; b.c", &["b"]),
            ("c::a(b.c)", &["b"]),
        ];
        for (body, owned) in named {
            let body: TokenStream = body.parse().expect("the test's own body");
            assert_eq!(owned_of(quote!(fn f(a: A, b: B) { #body })), owned, "{body}");
        }
    }

    #[test]
    fn what_is_used_alone_spares_the_body_its_being_parsed() {
        for body in [quote!(a.run(c, [a]);), quote!(let b = a;), quote!(for b in a {}), quote!(b.map(|c| c + a))] {
            assert!(!is_bound_again(body.clone(), "a", false), "{body}");
        }
    }

    #[test]
    fn what_an_argument_is_decides_its_type() {
        let functions: [(Signature, bool, bool); 13] = [
            (syn::parse_quote!(fn f(&self, a: u8, b: &B, c: *const C)), false, true),
            (syn::parse_quote!(fn f(self: &Self)), false, false),
            (syn::parse_quote!(fn f()), false, true),
            (syn::parse_quote!(fn f(&mut self)), false, false),
            (syn::parse_quote!(fn f(self)), true, false),
            (syn::parse_quote!(fn f(self: Arc<Self>)), true, false),
            (syn::parse_quote!(fn f(self: &mut Self)), false, false),
            (syn::parse_quote!(fn f(a: A)), true, false),
            (syn::parse_quote!(fn f(a: &A, (b, _): (B, C))), true, false),
            (syn::parse_quote!(fn f(a: &mut A)), false, false),
            (syn::parse_quote!(fn f(ref mut a: u8)), false, false),
            (syn::parse_quote!(fn f(mut a: u8)), false, true),
            (syn::parse_quote!(fn f(a: String)), false, false),
        ];
        for (sig, owned, copied) in functions {
            assert_eq!((are_owned(&sig), are_copied(&sig)), (owned, copied), "{}", sig.to_token_stream());
        }
    }
}
