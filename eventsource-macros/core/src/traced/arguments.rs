//! A traced function's arguments, as the closure or the future has them that the body becomes.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::{FnArg, Ident, ReceiverKind, Signature, Type, TypeReference};

use super::attributes::Entry;
use super::covers::Covers;
use crate::diagnostics::Diagnostics;
use crate::names::{Bound, bound_under, find_local};
use crate::output::is_underscored;
use crate::seen::seen;
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
    let mut unnamed = false;
    let mut owned: Vec<Bound> = owned
        .filter(|Bound { name, .. }| {
            let is_named = find_local(body.stream(), &name.unraw().to_string()).is_some();
            // Any other name is one that the compiler should call unused.
            let is_kept = !is_named && is_underscored(name);
            unnamed |= is_kept;
            is_named || is_kept
        })
        .collect();
    if let [Bound { name, .. }] = &owned[..]
        && !unnamed
        && !is_taken_apart(body.stream(), &name.unraw().to_string())
    {
        owned.clear();
    }
    owned.reverse();
    owned
}

/// Whether a field of what has that name is named, or a pattern may name some: a closure catches these alone.
fn is_taken_apart(tokens: TokenStream, name: &str) -> bool {
    let is = |tree: Option<&TokenTree>, punct| matches!(tree, Some(TokenTree::Punct(it)) if it.as_char() == punct);
    let mut before = None;
    let mut trees = tokens.into_iter();
    while let Some(tree) = trees.next() {
        let is_apart = match &tree {
            TokenTree::Ident(ident) if ident.unraw() == name => {
                let mut ahead = trees.clone();
                let is_field = is(ahead.next().as_ref(), '.')
                    && ahead.next().is_some_and(|field| field.to_string() != "await" && !is(Some(&field), '.'))
                    && !matches!(ahead.next(), Some(TokenTree::Group(_)));
                let is_matched =
                    is(before.as_ref(), '=') || matches!(&before, Some(TokenTree::Ident(word)) if word == "match");
                is_field || is_matched
            }
            TokenTree::Group(group) => is_taken_apart(group.stream(), name),
            _ => false,
        };
        if is_apart {
            return true;
        }
        before = Some(tree);
    }
    false
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
        ];
        for body in bodies {
            assert_eq!(owned_of(quote!(fn f(a: A) #body)), ["a"], "{body}");
        }
        for body in [
            quote!({
                a.run();
            }),
            quote!({ a.await? }),
            quote!({ 0..a }),
            quote!({ b(a, 1.0) }),
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
    }
}
