//! Type parameters and lifetimes of the user's types, as the expansions need them.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    BoundLifetimes, GenericArgument, GenericParam, Generics, Ident, Lifetime, ParenthesizedGenericArguments,
    PathArguments, PredicateType, Token, TraitBound, Type, TypeFnPtr, TypeParamBound, TypeReference, WherePredicate,
    parse_quote_spanned,
};

use crate::diagnostics::Diagnostics;
use crate::output::first_span;
use crate::signature::{ImplBlock, last_segment};

/// The generics of a type, bound by what its trait requires of the whole type: `Holder<T>` is a message wherever it can
/// be stored, and the user need not repeat serde's bounds.
pub(crate) fn bound(generics: &Generics, bounds: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    if !generics.params.is_empty() {
        generics.make_where_clause().predicates.push(parse_quote_spanned!(Span::mixed_site()=> Self: #bounds));
    }
    generics
}

/// What threads that share a value require of its type.
pub(crate) fn shared(place: Span) -> TokenStream {
    quote_spanned!(place=> ::core::marker::Send + ::core::marker::Sync + 'static)
}

/// `ty: bound`, with all spans on the type.
pub(crate) fn predicate(ty: &Type, bound: TokenStream) -> WherePredicate {
    WherePredicate::Type(PredicateType {
        attrs: Vec::new(),
        lifetimes: None,
        bounded_ty: ty.clone(),
        colon_token: Token![:](first_span(ty)),
        bounds: std::iter::once(TypeParamBound::Verbatim(bound)).collect(),
    })
}

/// What storing and sending a message requires of its type, besides what its kind requires.
pub(crate) fn message_bounds(private: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> #private::serde::de::DeserializeOwned + ::core::marker::Send + 'static)
}

/// A message outlives what it was made from.
pub(crate) fn refuse_lifetimes(diagnostics: &mut Diagnostics, generics: &Generics, what: &str) {
    for parameter in generics.lifetimes() {
        diagnostics.error(&parameter.lifetime, format!("{what} owns its data; remove the lifetime"));
    }
}

/// The same for the type of a block's methods, which outlives what calls them; true if it has none.
pub(crate) fn has_no_lifetimes(diagnostics: &mut Diagnostics, block: &ImplBlock, what: &str) -> bool {
    let before = diagnostics.count();
    refuse_lifetimes(diagnostics, &block.generics, what);
    let arguments = last_segment(&block.self_ty).map(|segment| &segment.arguments);
    if let Some(PathArguments::AngleBracketed(arguments)) = arguments {
        for argument in &arguments.args {
            if let GenericArgument::Lifetime(lifetime) = argument
                && lifetime.ident == "_"
            {
                diagnostics.error(lifetime, format!("{what} owns its data; remove the lifetime"));
            }
        }
    }
    diagnostics.count() == before
}

/// The type with `'static` for every lifetime in it.
pub(crate) fn with_static_lifetimes(mut ty: Type) -> Type {
    Static::default().visit_type_mut(&mut ty);
    match ty {
        // The expansion puts `&` before it, which binds tighter than `+`.
        Type::TraitObject(object) if object.bounds.len() > 1 || object.bounds.trailing_punct() => {
            parse_quote_spanned!(Span::mixed_site()=> (#object))
        }
        ty => ty,
    }
}

#[derive(Default)]
struct Static {
    /// The lifetimes of the enclosing `for<..>`.
    bound: Vec<Ident>,
    /// Whether an elided lifetime is a function's own.
    in_function: bool,
}

impl Static {
    fn within(&mut self, bound: Option<&BoundLifetimes>, visit: impl FnOnce(&mut Self)) {
        let outer = self.bound.len();
        let parameters = bound.into_iter().flat_map(|bound| &bound.lifetimes);
        self.bound.extend(parameters.filter_map(|parameter| match parameter {
            GenericParam::Lifetime(parameter) => Some(parameter.lifetime.ident.clone()),
            _ => None,
        }));
        visit(self);
        self.bound.truncate(outer);
    }

    fn in_function(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.in_function, true);
        visit(self);
        self.in_function = outer;
    }
}

impl VisitMut for Static {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        let is_own = self.bound.contains(&lifetime.ident) || (self.in_function && lifetime.ident == "_");
        if !is_own {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        let and = reference.and_token.span;
        if !self.in_function {
            reference.lifetime.get_or_insert_with(|| Lifetime::new("'static", and));
        }
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_bound_lifetimes_mut(&mut self, _: &mut BoundLifetimes) {}

    fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
        self.within(bound.lifetimes.clone().as_ref(), |lifetimes| {
            visit_mut::visit_trait_bound_mut(lifetimes, bound);
        });
    }

    fn visit_type_fn_ptr_mut(&mut self, pointer: &mut TypeFnPtr) {
        self.within(pointer.lifetimes.clone().as_ref(), |lifetimes| {
            lifetimes.in_function(|lifetimes| visit_mut::visit_type_fn_ptr_mut(lifetimes, pointer));
        });
    }

    /// `Fn(&str) -> &str`.
    fn visit_parenthesized_generic_arguments_mut(&mut self, arguments: &mut ParenthesizedGenericArguments) {
        self.in_function(|lifetimes| {
            visit_mut::visit_parenthesized_generic_arguments_mut(lifetimes, arguments);
        });
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};
    use syn::parse_quote;

    use super::*;
    use crate::diagnostics::shown;

    #[test]
    fn lifetimes_become_static() {
        let ty = with_static_lifetimes(parse_quote!(dyn A));
        assert_eq!(ty.to_token_stream().to_string(), quote!(dyn A).to_string());
        let ty = with_static_lifetimes(parse_quote!(dyn A + 'a));
        assert_eq!(ty.to_token_stream().to_string(), quote!((dyn A + 'static)).to_string());
        let ty = with_static_lifetimes(parse_quote!(Tx<'_, &str, &'a u8>));
        assert_eq!(ty.to_token_stream().to_string(), quote!(Tx<'static, &'static str, &'static u8>).to_string());
    }

    #[test]
    fn the_lifetimes_of_functions_stay_their_own() {
        let kept = |written: TokenStream, expected: TokenStream| {
            let ty = with_static_lifetimes(syn::parse2(written).expect("the test's own tokens"));
            assert_eq!(shown(&ty), shown(expected));
        };
        kept(quote!((fn(&u8, A<'_>) -> &u8, &u8)), quote!((fn(&u8, A<'_>) -> &u8, &'static u8)));
        kept(quote!(Box<dyn Fn(&u8) -> &u8 + 'a>), quote!(Box<dyn Fn(&u8) -> &u8 + 'static>));
        kept(quote!(Box<dyn Fn(&'b u8) -> A<'b>>), quote!(Box<dyn Fn(&'static u8) -> A<'static>>));
        kept(quote!(for<'a> fn(&'a u8, &'b u8)), quote!(for<'a> fn(&'a u8, &'static u8)));
        kept(quote!(Box<dyn for<'a> A<'a, 'b>>), quote!(Box<dyn for<'a> A<'a, 'static>>));
        // A lifetime bound in one place is not bound in the next.
        kept(quote!((for<'a> fn(&'a u8), &'a u8)), quote!((for<'a> fn(&'a u8), &'static u8)));
        kept(quote!((Box<dyn for<'a> A<'a>>, &'a u8)), quote!((Box<dyn for<'a> A<'a>>, &'static u8)));
    }

    #[test]
    fn bounds_are_asked_of_generic_types_alone() {
        assert!(bound(&parse_quote!(), &quote!(Send)).where_clause.is_none());
        assert!(bound(&parse_quote!(<T>), &quote!(Send)).where_clause.is_some());
    }
}
