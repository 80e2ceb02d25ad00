//! A traced function's arguments, as the closure or future that the body becomes has them.

use syn::ext::IdentExt as _;
use syn::{FnArg, Ident, ReceiverKind, Signature, Type, TypeReference};

use super::attributes::Entry;
use super::covers::Covers;
use crate::diagnostics::Diagnostics;
use crate::keys;
use crate::names::{Bound, bound_under};
use crate::seen::seen;
use crate::sensitive::{is_plain, is_type};
use crate::signature::{cfgs, ungrouped};

/// The entries of `record(..)` without those that name what the body of an `async fn` owns exclusively, or any argument
/// if the span covers a returned future.
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

/// Whether any argument may need to be dropped.
pub(super) fn are_owned(sig: &Signature) -> bool {
    names(sig).any(|(_, kind)| kind == Kind::Owned)
}

/// Whether all arguments are `Copy`, judged by the names of their types and their bindings.
pub(super) fn are_copied(sig: &Signature) -> bool {
    let by_value = sig.inputs.iter().all(|input| match input {
        FnArg::Receiver(receiver) => matches!(receiver.kind, ReceiverKind::Reference(.., None)),
        FnArg::Typed(argument) => match ungrouped(&argument.ty) {
            Type::Reference(reference) => reference.mutability.is_none(),
            Type::Ptr(_) => true,
            // `String` is the only plain type that owns anything.
            ty => is_plain(ty) && !is_type(ty, "String"),
        },
    });
    by_value && names(sig).all(|(_, kind)| kind != Kind::Lent)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Behind `&mut`, or bound by `ref mut`.
    Lent,
    /// By value, of a type that may need to be dropped.
    Owned,
    Other,
}

pub(super) fn names(sig: &Signature) -> impl Iterator<Item = (Bound, Kind)> {
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

/// The names by which expressions of `record(..)` see arguments; `result` is the returned value.
fn arguments(bound: impl Iterator<Item = Bound>) -> Vec<Ident> {
    bound.map(|bound| bound.name).filter(|name| name.unraw() != keys::RESULT).collect()
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;
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
