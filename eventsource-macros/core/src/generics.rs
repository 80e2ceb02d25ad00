//! Type parameters and lifetimes of the user's types, as the expansions need them.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Generics, Lifetime, PredicateType, Token, Type, TypeFnPtr, TypeParamBound, TypeReference, WherePredicate,
    parse_quote_spanned,
};

use crate::diagnostics::Diagnostics;
use crate::output::first_span;

/// The generics of a message's type, bound by what its trait asks of the whole type: `Holder<T>` is a message wherever
/// it can be stored, and the user need not repeat serde's bounds.
pub(crate) fn bound(generics: &Generics, bounds: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    if !generics.params.is_empty() {
        generics.make_where_clause().predicates.push(parse_quote_spanned!(Span::mixed_site()=> Self: #bounds));
    }
    generics
}

/// `ty: bound`, all of it on the type.
pub(crate) fn predicate(ty: &Type, bound: TokenStream) -> WherePredicate {
    WherePredicate::Type(PredicateType {
        attrs: Vec::new(),
        lifetimes: None,
        bounded_ty: ty.clone(),
        colon_token: Token![:](first_span(ty)),
        bounds: std::iter::once(TypeParamBound::Verbatim(bound)).collect(),
    })
}

/// What storing and sending a message asks of its type.
pub(crate) fn message_bounds(private: &TokenStream) -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #private::serde::de::DeserializeOwned + ::core::marker::Send + ::core::marker::Sync + 'static
    }
}

/// A message outlives what it was made from.
pub(crate) fn refuse_lifetimes(diagnostics: &mut Diagnostics, generics: &Generics, what: &str) {
    for parameter in generics.lifetimes() {
        diagnostics.error(&parameter.lifetime, format!("{what} owns its data; remove the lifetime"));
    }
}

/// The type with `'static` for every lifetime in it.
pub(crate) fn with_static_lifetimes(mut ty: Type) -> Type {
    Static.visit_type_mut(&mut ty);
    match ty {
        // `&` stands before it in the expansion, and binds tighter than `+`.
        Type::TraitObject(object) if object.bounds.len() > 1 || object.bounds.trailing_punct() => {
            parse_quote_spanned!(Span::mixed_site()=> (#object))
        }
        ty => ty,
    }
}

struct Static;

impl VisitMut for Static {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'static", lifetime.span());
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let and = reference.and_token.span;
        reference.lifetime.get_or_insert_with(|| Lifetime::new("'static", and));
        visit_mut::visit_type_reference_mut(self, reference);
    }

    /// A function pointer's lifetimes are its own.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};
    use syn::parse_quote;

    use super::*;

    #[test]
    fn lifetimes_become_static() {
        let ty = with_static_lifetimes(parse_quote!(dyn A));
        assert_eq!(ty.to_token_stream().to_string(), quote!(dyn A).to_string());
        let ty = with_static_lifetimes(parse_quote!(dyn A + 'a));
        assert_eq!(ty.to_token_stream().to_string(), quote!((dyn A + 'static)).to_string());
        let ty = with_static_lifetimes(parse_quote!(Tx<'_, &str, fn(&u8) -> &'a u8>));
        assert_eq!(ty.to_token_stream().to_string(), quote!(Tx<'static, &'static str, fn(&u8) -> &'a u8>).to_string());
    }

    #[test]
    fn bounds_are_asked_of_generic_types_alone() {
        assert!(bound(&parse_quote!(), &quote!(Send)).where_clause.is_none());
        assert!(bound(&parse_quote!(<T>), &quote!(Send)).where_clause.is_some());
    }
}
